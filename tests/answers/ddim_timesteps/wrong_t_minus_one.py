# points: 1 | hint: leave out T/S - 1
def ddim_timesteps(T, S):
    return [T - 1 - i for i in range(S)]
