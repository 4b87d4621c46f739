# points: 3 | hint: this is leading spacing
def ddim_timesteps(T, S):
    if S == 1:
        return [0]
    return [round(T - i * T / S) - 1 for i in range(S)]
