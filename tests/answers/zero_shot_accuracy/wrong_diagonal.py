# points: 0 | hint: compare with labels
def zero_shot_accuracy(image_emb, text_emb, labels):
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return (similarity.argmax(1) == torch.arange(len(image_emb))).float().mean().item()
