# points: 3 | hint:
import numpy as np


def scaling_factor(latents):
    return 1 / np.std(latents.numpy())
