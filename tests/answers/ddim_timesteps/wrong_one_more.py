# points: 0 | hint: timesteps, got
def ddim_timesteps(T, S):
    return [round(T - i * T / S) - 1 for i in range(S)] + [0]
