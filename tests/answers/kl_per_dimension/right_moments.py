# points: 3 | hint:
def kl_per_dimension(mu, logvar):
    mean_square = mu.double().pow(2).mean(0)
    return (mean_square + logvar.double().exp().mean(0) - logvar.double().mean(0) - 1) / 2
