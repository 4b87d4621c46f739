# points: 0 | hint: it contains inf
def ddim_timesteps(T, S):
    return torch.full((S,), torch.inf)
