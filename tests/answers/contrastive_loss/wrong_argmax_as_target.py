# points: 3 | hint: not the most likely one
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=1)
    text_emb = F.normalize(text_emb, dim=1)
    similarity = logit_scale * image_emb @ text_emb.T
    rows, columns = similarity.argmax(1), similarity.argmax(0)
    return (F.cross_entropy(similarity, rows) + F.cross_entropy(similarity.T, columns)) / 2
