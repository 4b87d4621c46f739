# points: 1 | hint: return the results in the order
# visible: the order is total, recon, kl
from mnistdiff.vae import kl_divergence


def vae_loss(recon,x,mu,logvar,beta,loss_type):
    r = F.mse_loss(recon,x,reduction='sum')/len(x) if loss_type=='mse' else F.binary_cross_entropy(recon,x,reduction='sum')/len(x)
    kl=kl_divergence(mu,logvar)
    return r+beta*kl,kl,r
