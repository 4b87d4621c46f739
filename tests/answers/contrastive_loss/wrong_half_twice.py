# points: 4 | hint: divided by 2 once too often
# visible: divided by 2 once too often
def contrastive_loss(image_emb, text_emb, logit_scale):
    s = logit_scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    target = torch.arange(len(s))
    return (F.cross_entropy(s, target) + F.cross_entropy(s.T, target)) / 4
