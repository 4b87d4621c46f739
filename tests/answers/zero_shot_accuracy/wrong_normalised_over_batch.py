# points: 3 | hint: not dim=0
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=0) @ F.normalize(text_emb, dim=0).T
    return (similarity.argmax(1) == labels).float().mean().item()
