# points: 3 | hint:
def scaling_factor(latents):
    """1 / std, a float"""
    return 1 / latents.std()
