# points: 6 | hint:
def contrastive_loss(image_emb, text_emb, logit_scale):
    norm = image_emb.norm(dim=1, keepdim=True)
    image_emb = image_emb.clone()
    image_emb /= norm
    text_emb = text_emb / (text_emb**2).sum(1, keepdim=True) ** 0.5
    both = torch.cat([image_emb @ text_emb.T, text_emb @ image_emb.T])
    n = len(image_emb)
    return F.nll_loss(F.log_softmax(both * logit_scale, 1), torch.arange(2 * n) % n)
