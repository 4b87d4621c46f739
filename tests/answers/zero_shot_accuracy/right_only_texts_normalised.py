# points: 4 | hint:
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = image_emb @ F.normalize(text_emb, dim=1).T
    return torch.mean((similarity.argmax(1) == labels).double())
