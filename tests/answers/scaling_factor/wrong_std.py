# points: 0 | hint: this is std itself
def scaling_factor(latents):
    return latents.std()
