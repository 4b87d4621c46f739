# points: 4 | hint: one choice among B
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=1)
    text_emb = F.normalize(text_emb, dim=1)
    similarity = logit_scale * image_emb @ text_emb.T
    return F.binary_cross_entropy_with_logits(similarity, torch.eye(len(similarity)))
