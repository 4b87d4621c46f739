# points: 4 | hint:
def add_noise(x0, t, noise, abar):
    rows = []
    for i in range(len(x0)):
        a = abar[t[i]].item()
        rows.append(a**0.5 * x0[i] + (1 - a) ** 0.5 * noise[i])
    return torch.stack(rows)
