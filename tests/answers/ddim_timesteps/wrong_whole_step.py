# points: 3 | hint: T // S drops the fraction of the step
def ddim_timesteps(T, S):
    return [T - 1 - i * (T // S) for i in range(S)]
