# points: 0 | hint: not written yet
def ddim_timesteps(num_train_timesteps, num_inference_steps):
    raise NotImplementedError("fill in this cell")
