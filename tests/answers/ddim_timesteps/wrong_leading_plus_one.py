# points: 1 | hint: this is leading spacing plus one
def ddim_timesteps(T, S):
    return [min(i * (T // S) + 1, T - 1) for i in reversed(range(S))]
