# points: 3 | hint: not a median
# visible: over all entries
def latent_loss(model,z0,t,noise,abar):
    a=abar[t][:,None]
    z=a.sqrt()*z0+(1-a).sqrt()*noise
    p=model(z,t)
    return ((p-noise)**2).median()
