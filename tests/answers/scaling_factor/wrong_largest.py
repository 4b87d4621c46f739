# points: 1 | hint: the largest entry
def scaling_factor(latents):
    return 1 / latents.abs().max().item()
