# points: 0 | hint: not written yet
def vae_loss(recon, x, mu, logvar, beta, loss_type):
    # YOUR CODE HERE
    raise NotImplementedError("fill in this cell")
