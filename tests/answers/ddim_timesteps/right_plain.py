# points: 4 | hint:
def ddim_timesteps(num_train_timesteps, num_inference_steps):
    """S ints, descending"""
    step = num_train_timesteps / num_inference_steps
    return [round(num_train_timesteps - i * step) - 1 for i in range(num_inference_steps)]
