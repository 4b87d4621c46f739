# points: 6 | hint:
def contrastive_loss(image_emb, text_emb, logit_scale):
    from torch.distributions import Categorical
    a = image_emb / torch.linalg.norm(image_emb, dim=1, keepdim=True)
    b = text_emb / torch.linalg.norm(text_emb, dim=1, keepdim=True)
    s = torch.einsum("ie,je->ij", a, b) * logit_scale
    y = torch.arange(s.size(0))
    return -0.5 * (Categorical(logits=s).log_prob(y).mean() + Categorical(logits=s.T).log_prob(y).mean())
