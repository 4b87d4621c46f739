# points: 4 | hint:
def zero_shot_accuracy(image_emb, text_emb, labels):
    hits = 0
    for image, label in zip(image_emb, labels):
        cosines = [float(image @ text / text.norm() / image.norm()) for text in text_emb]
        hits += cosines.index(max(cosines)) == int(label)
    return hits / len(labels)
