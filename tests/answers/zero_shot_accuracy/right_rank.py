# points: 4 | hint:
def zero_shot_accuracy(image_emb, text_emb, labels):
    c = torch.einsum("ne,ke->kn", F.normalize(image_emb.double()), F.normalize(text_emb.double()))
    own = c[labels, torch.arange(len(labels))]
    return (own >= c.amax(dim=0)).double().mean().item()
