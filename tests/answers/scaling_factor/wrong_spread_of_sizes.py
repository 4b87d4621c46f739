# points: 1 | hint: keep the signs
# visible: keep the signs
def scaling_factor(latents):
    return 1/latents.abs().std()
