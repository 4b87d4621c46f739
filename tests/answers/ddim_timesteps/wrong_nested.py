# points: 0 | hint: it contains a value of type list
def ddim_timesteps(T, S):
    return [[round(T - i * T / S) - 1] for i in range(S)]
