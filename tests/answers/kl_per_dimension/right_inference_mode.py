# points: 3 | hint:
@torch.inference_mode()
def kl_per_dimension(mu, logvar):
    return -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).mean(dim=0)
