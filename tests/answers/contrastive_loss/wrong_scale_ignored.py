# points: 4 | hint: logit_scale has no effect
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=1)
    text_emb = F.normalize(text_emb, dim=1)
    similarity = image_emb @ text_emb.T
    target = torch.arange(len(similarity))
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
