# points: 3 | hint: the lengths of the texts change which one wins
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=1) @ text_emb.T
    return (similarity.argmax(1) == labels).float().mean().item()
