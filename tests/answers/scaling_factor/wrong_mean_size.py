# points: 1 | hint: you used the mean absolute value
def scaling_factor(latents):
    return 1 / latents.abs().mean()
