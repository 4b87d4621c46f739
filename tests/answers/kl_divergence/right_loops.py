# points: 4 | hint:
def kl_divergence(mu, logvar):
    total = 0
    for m, v in zip(mu, logvar):
        for d in range(len(m)):
            sigma = (v[d] / 2).exp()
            total = total + (m[d] ** 2 + sigma**2) / 2 - 0.5 - sigma.log()
    return total / len(mu)
