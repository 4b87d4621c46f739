# points: 0 | hint: give std no dim
def scaling_factor(latents):
    return 1 / latents.std(0)
