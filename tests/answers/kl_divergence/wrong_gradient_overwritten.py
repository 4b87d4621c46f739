# points: 3.5 | hint: an operation in place
# visible: an operation in place
def kl_divergence(mu,logvar):
    mu *= mu
    mu += logvar.exp()-1-logvar
    return 0.5*mu.sum(1).mean()
