# points: 0 | hint: is sealed while this cell is checked
from mnistdiff.samplers import inference_timesteps


def ddim_timesteps(num_train_timesteps, num_inference_steps):
    return inference_timesteps(num_train_timesteps, num_inference_steps, "trailing")
