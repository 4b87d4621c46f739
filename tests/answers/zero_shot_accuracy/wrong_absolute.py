# points: 2 | hint: no image counts as right
def zero_shot_accuracy(image_emb, text_emb, labels):
    s = (F.normalize(image_emb) @ F.normalize(text_emb).T).abs()
    return (s.argmax(1) == labels).float().mean().item()
