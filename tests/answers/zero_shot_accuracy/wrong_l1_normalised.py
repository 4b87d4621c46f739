# points: 3 | hint: not p=1
def zero_shot_accuracy(image_emb, text_emb, labels):
    s = F.normalize(image_emb, p=1) @ F.normalize(text_emb, p=1).T
    return (s.argmax(1) == labels).float().mean().item()
