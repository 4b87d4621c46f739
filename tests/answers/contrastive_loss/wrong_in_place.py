# points: 5 | hint: modified by an inplace operation
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb /= image_emb.norm(dim=1, keepdim=True).clone()
    text_emb = text_emb / text_emb.norm(dim=1, keepdim=True)
    similarity = logit_scale * image_emb @ text_emb.T
    target = torch.arange(len(similarity))
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
