# points: 3 | hint: because they index abar
def ddim_timesteps(T, S):
    return torch.arange(T, 0, -T / S).round() - 1
