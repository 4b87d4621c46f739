# points: 4 | hint:
def zero_shot_accuracy(image_emb, text_emb, labels):
    """a float"""
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return (similarity.argmax(dim=1) == labels).float().mean().item()
