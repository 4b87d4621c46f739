# points: 4 | hint:
def ddim_timesteps(T, S):
    return tuple(int(t) for t in torch.linspace(T, T / S, S, dtype=torch.float64).round() - 1)
