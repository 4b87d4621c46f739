# points: 4 | hint:
import numpy as np


def ddim_timesteps(num_train_timesteps, num_inference_steps):
    ratio = num_train_timesteps / num_inference_steps
    return np.round(np.arange(num_train_timesteps, 0, -ratio)).astype(np.int64) - 1
