# points: 3 | hint:
def scaling_factor(latents):
    return 1.0 / float(latents.flatten().std(unbiased=False))
