# points: 1 | hint: only the end of the run
def ddim_timesteps(T, S):
    return list(range(S - 1, -1, -1))
