# points: 5 | hint: part of the gradient for `image_emb`
def contrastive_loss(image_emb, text_emb, logit_scale):
    a = image_emb / image_emb.norm(dim=1, keepdim=True).detach()
    b = text_emb / text_emb.norm(dim=1, keepdim=True).detach()
    s = logit_scale * a @ b.T
    return sum(F.cross_entropy(m, torch.arange(len(m))) for m in (s, s.T)) / 2
