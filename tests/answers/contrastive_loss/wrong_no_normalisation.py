# points: 5 | hint: changes with the length of image_emb
def contrastive_loss(image_emb, text_emb, logit_scale):
    similarity = logit_scale * image_emb @ text_emb.T
    target = torch.arange(len(similarity))
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
