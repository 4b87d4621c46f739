# points: 4 | hint:
def standard_deviation(log_variance):
    return log_variance.double().exp() ** 0.5


def reparameterize(mu, logvar, noise):
    return (mu.double() + standard_deviation(logvar) * noise.double()).float()
