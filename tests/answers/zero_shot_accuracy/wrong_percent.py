# points: 1 | hint: this is a percentage
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return 100 * (similarity.argmax(1) == labels).float().mean().item()
