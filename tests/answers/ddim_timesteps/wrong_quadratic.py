# points: 0 | hint: the gaps between your timesteps
# visible: gaps between them are
def ddim_timesteps(num_train_timesteps, num_inference_steps):
    T, S = num_train_timesteps, num_inference_steps
    grid = torch.linspace(0, (0.8 * T) ** 0.5, S) ** 2
    return [int(t) for t in grid.flip(0)]
