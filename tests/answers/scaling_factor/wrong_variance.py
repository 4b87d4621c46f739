# points: 0 | hint: this is the variance
# visible: this is the variance
def scaling_factor(latents):
    return latents.var()
