# points: 0 | hint: over dim=1
def zero_shot_accuracy(image_emb, text_emb, labels):
    s = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    best = s.argmax(dim=0)
    n = min(len(best), len(labels))
    return (best[:n] == labels[:n]).double().mean().item()
