# points: 3 | hint:
def active_units(mu, threshold=0.01):
    return int(torch.sum(torch.diagonal(torch.cov(mu.T).reshape(mu.shape[1], mu.shape[1])) > threshold))
