# points: 1 | hint: this is linspace
def ddim_timesteps(T, S):
    return [round(v) for v in torch.linspace(T - 1, 0, S).tolist()]
