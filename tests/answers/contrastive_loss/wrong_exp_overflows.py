# points: 5 | hint: exp overflows
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=1)
    text_emb = F.normalize(text_emb, dim=1)
    similarity = logit_scale * image_emb @ text_emb.T
    e = similarity.exp()
    own = e.diag()
    return -((own / e.sum(0)).log() + (own / e.sum(1)).log()).mean() / 2
