# points: 0 | hint: a function for one number
# visible: a function for one number
def reparameterize(mu,logvar,noise):
    import math
    return mu+math.exp(0.5*logvar)*noise
