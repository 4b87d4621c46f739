# points: 1 | hint: divide by the number of images
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return float((similarity.argmax(1) == labels).sum())
