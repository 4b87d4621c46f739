# points: 1 | hint: this is leading spacing
def ddim_timesteps(T, S):
    return [i * (T // S) for i in reversed(range(S))]
