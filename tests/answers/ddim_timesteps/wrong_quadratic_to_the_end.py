# points: 0 | hint: the gaps between your timesteps
# visible: gaps between them are
def ddim_timesteps(num_train_timesteps, num_inference_steps):
    T, S = num_train_timesteps, num_inference_steps
    return [round((T - 1) * (i / max(S - 1, 1)) ** 2) for i in reversed(range(S))]
