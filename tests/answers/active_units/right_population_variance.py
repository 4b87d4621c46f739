# points: 3 | hint:
def active_units(mu, threshold=0.01):
    centred = mu - mu.mean(0, keepdim=True)
    return ((centred**2).mean(0) > threshold).sum().item()
