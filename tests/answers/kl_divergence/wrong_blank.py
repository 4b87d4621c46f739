# points: 0 | hint: not written yet
def kl_divergence(mu, logvar):
    # YOUR CODE HERE
    raise NotImplementedError("fill in this cell")
