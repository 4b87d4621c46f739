# points: 0 | hint: a value of type list
def scaling_factor(latents):
    return [1 / latents.std()]
