# points: 0 | hint: not written yet
def scaling_factor(latents):
    raise NotImplementedError("fill in this cell")
