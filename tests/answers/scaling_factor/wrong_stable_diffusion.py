# points: 0 | hint: does not depend on the size
def scaling_factor(latents):
    return 0.18215
