# points: 0 | hint: call std without dim
def scaling_factor(latents):
    return 1 / latents.std(0)
