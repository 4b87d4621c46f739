# points: 2 | hint: a pixel needs F.binary_cross_entropy
# visible: a pixel needs F.binary_cross_entropy
from mnistdiff.vae import kl_divergence


def vae_loss(recon,x,mu,logvar,beta,loss_type):
    r = F.mse_loss(recon,x,reduction='sum')/len(x) if loss_type=='mse' else F.cross_entropy(recon,x,reduction='sum')/len(x)
    kl=kl_divergence(mu,logvar)
    return r+beta*kl,r,kl
