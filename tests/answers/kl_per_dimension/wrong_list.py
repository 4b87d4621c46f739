# points: 0 | hint: got a value of type list
def kl_per_dimension(mu, logvar):
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).mean(0).tolist()
