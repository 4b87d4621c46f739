# points: 0 | hint: all values are one too high
def ddim_timesteps(T, S):
    return [round(T - i * T / S) for i in range(S)]
