# points: 6 | hint:
def contrastive_loss(image_emb, text_emb, logit_scale):
    cosine = F.cosine_similarity(image_emb.double()[:, None], text_emb.double()[None], dim=2)
    logits = cosine * logit_scale
    rows = logits.log_softmax(dim=1).diag()
    columns = logits.log_softmax(dim=0).diag()
    return -0.5 * (rows + columns).mean()
