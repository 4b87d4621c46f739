# points: 0 | hint: one square root too many
# visible: square root of the standard deviation
def scaling_factor(latents):
    return 1 / latents.std().sqrt()
