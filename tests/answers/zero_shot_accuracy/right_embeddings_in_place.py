# points: 4 | hint:
def zero_shot_accuracy(image_emb, text_emb, labels):
    text_emb /= text_emb.norm(dim=1, keepdim=True)
    image_emb /= image_emb.norm(dim=1, keepdim=True)
    return ((image_emb @ text_emb.T).argmax(1) == labels).float().mean().item()
