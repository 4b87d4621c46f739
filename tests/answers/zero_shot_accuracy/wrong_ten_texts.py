# points: 0 | hint: raised
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return (similarity.view(-1, 10).argmax(1) == labels).float().mean().item()
