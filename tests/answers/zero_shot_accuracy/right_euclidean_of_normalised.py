# points: 4 | hint:
def zero_shot_accuracy(image_emb, text_emb, labels):
    distance = torch.cdist(F.normalize(image_emb), F.normalize(text_emb))
    return (distance.argmin(1) == labels).sum() / len(labels)
