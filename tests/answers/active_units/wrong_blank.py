# points: 0 | hint: not written yet
def active_units(mu, threshold=0.01):
    # YOUR CODE HERE
    raise NotImplementedError("fill in this cell")
