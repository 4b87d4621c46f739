# points: 3 | hint: each timestep must be lower
def ddim_timesteps(T, S):
    kept = [round(T - i * T / S) - 1 for i in range(S)]
    return kept[1:] + kept[:1]
