# points: 0 | hint: the factor is 0
def scaling_factor(latents):
    return 0.0
