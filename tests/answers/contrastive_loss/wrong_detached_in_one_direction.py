# points: 5 | hint: part of the gradient for `image_emb` is cut off
def contrastive_loss(image_emb, text_emb, logit_scale):
    images, texts = F.normalize(image_emb, dim=1), F.normalize(text_emb, dim=1)
    target = torch.arange(len(images))
    rows = F.cross_entropy(logit_scale * images @ texts.detach().T, target)
    columns = F.cross_entropy(logit_scale * texts @ images.detach().T, target)
    return (rows + columns) / 2
