# points: 4 | hint: it applies the softmax itself
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=1)
    text_emb = F.normalize(text_emb, dim=1)
    similarity = logit_scale * image_emb @ text_emb.T
    target = torch.arange(len(similarity))
    rows, columns = similarity.softmax(1), similarity.T.softmax(1)
    return (F.cross_entropy(rows, target) + F.cross_entropy(columns, target)) / 2
