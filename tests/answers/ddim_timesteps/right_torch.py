# points: 4 | hint:
def ddim_timesteps(T, S):
    return torch.arange(T, 0, -T / S).round().long() - 1
