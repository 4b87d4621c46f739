# points: 2 | hint: you normalised over the batch
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=0)
    text_emb = F.normalize(text_emb, dim=0)
    similarity = logit_scale * image_emb @ text_emb.T
    target = torch.arange(len(similarity))
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
