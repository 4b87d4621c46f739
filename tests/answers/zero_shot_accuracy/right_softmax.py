# points: 4 | hint:
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    probability = (100 * similarity).softmax(dim=1)
    return (probability.max(dim=1).indices == labels).double().mean().item()
