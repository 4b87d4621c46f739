# points: 4 | hint:
def ddim_timesteps(T, S):
    return [torch.tensor(round(T * (S - i) / S) - 1) for i in range(S)]
