# points: 6 | hint:
def contrastive_loss(image_emb, text_emb, logit_scale):
    images, texts = map(torch.nn.functional.normalize, (image_emb, text_emb))
    logits = torch.einsum("ie,je->ij", images, texts).mul_(logit_scale)
    target = torch.eye(len(logits))
    losses = [F.cross_entropy(m, target) for m in (logits, logits.t())]
    return torch.stack(losses).mean()
