# points: 4 | hint: you summed over the batch and both directions
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=1)
    text_emb = F.normalize(text_emb, dim=1)
    similarity = logit_scale * image_emb @ text_emb.T
    target = torch.arange(len(similarity))
    return F.cross_entropy(similarity, target, reduction="sum") + F.cross_entropy(similarity.T, target, reduction="sum")
