# points: 4 | hint:
def kl_divergence(mu, logvar):
    out = mu.square()
    out += logvar.exp()
    out -= 1
    out -= logvar
    out *= 0.5
    return out.sum(dim=1).mean(dim=0)
