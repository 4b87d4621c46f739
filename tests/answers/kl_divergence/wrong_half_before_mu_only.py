# points: 2.5 | hint: not before mu^2 only
# visible: before mu^2 only
def kl_divergence(mu,logvar):
    return (0.5*mu**2+logvar.exp()-1-logvar).sum(1).mean()
