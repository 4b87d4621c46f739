# points: 2 | hint: argmax over dim=1
def zero_shot_accuracy(image_emb, text_emb, labels):
    s = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return (s.topk(2, 1).indices == labels[:, None]).any(1).float().mean().item()
