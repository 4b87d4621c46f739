# points: 1 | hint: not the number of texts
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return float((similarity.argmax(1) == labels).sum()) / len(text_emb)
