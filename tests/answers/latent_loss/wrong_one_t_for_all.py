# points: 0 | hint: one t per row
# visible: one timestep per row
from mnistdiff.schedules import add_noise


def latent_loss(model,z0,t,noise,abar):
    z=add_noise(z0,t,noise,abar)
    p=model(z,int(t[0]))
    return ((p-noise)**2).mean()
