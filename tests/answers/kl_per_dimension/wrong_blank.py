# points: 0 | hint: not written yet
def kl_per_dimension(mu, logvar):
    # YOUR CODE HERE
    raise NotImplementedError("fill in this cell")
