# points: 1 | hint: all values are one too low
def ddim_timesteps(T, S):
    return [round(T - i * T / S) - 2 for i in range(S)]
