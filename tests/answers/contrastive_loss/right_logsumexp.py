# points: 6 | hint:
def contrastive_loss(image_emb: torch.Tensor, text_emb: torch.Tensor, logit_scale) -> torch.Tensor:
    image_emb = image_emb / image_emb.norm(dim=-1, keepdim=True)
    text_emb = text_emb / text_emb.norm(dim=-1, keepdim=True)
    logits = (text_emb @ image_emb.T) * logit_scale
    own = logits.diagonal()
    return (torch.logsumexp(logits, 0) + torch.logsumexp(logits, 1) - 2 * own).mean() / 2
