# points: 0 | hint: expected one number
def scaling_factor(latents):
    return latents / latents.std()
