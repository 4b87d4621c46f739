# points: 3 | hint: the lengths of the texts change which one wins
def zero_shot_accuracy(image_emb, text_emb, labels):
    return (torch.cdist(image_emb, text_emb).argmin(1) == labels).float().mean().item()
