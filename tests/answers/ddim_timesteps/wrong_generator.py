# points: 0 | hint: a value of type generator
def ddim_timesteps(T, S):
    return (round(T - i * T / S) - 1 for i in range(S))
