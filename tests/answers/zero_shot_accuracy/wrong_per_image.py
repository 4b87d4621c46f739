# points: 0 | hint: take the mean over the images
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return (similarity.argmax(1) == labels).float()
