# points: 3 | hint: only matching pairs count
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=1)
    text_emb = F.normalize(text_emb, dim=1)
    similarity = logit_scale * image_emb @ text_emb.T
    return -similarity.diag().mean()
