# points: 1 | hint: averaged the variances per dimension
# visible: one variance per dimension
def scaling_factor(latents):
    return 1 / latents.var(0).mean().sqrt()
