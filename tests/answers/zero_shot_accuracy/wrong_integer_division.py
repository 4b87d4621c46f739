# points: 1 | hint: divide with / (not //)
def zero_shot_accuracy(image_emb, text_emb, labels):
    s = F.normalize(image_emb) @ F.normalize(text_emb).T
    return (s.argmax(1) == labels).sum().item() // len(labels)
