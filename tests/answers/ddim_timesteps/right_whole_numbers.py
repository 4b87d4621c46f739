# points: 4 | hint:
def ddim_timesteps(T, S):
    return sorted(((2 * i * T + S) // (2 * S) - 1 for i in range(1, S + 1)), reverse=True)
