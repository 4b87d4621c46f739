# points: 5 | hint:
def latent_loss(model, z0, t, noise, abar):
    total = 0
    for i in range(len(z0)):
        a = abar[t[i]]
        z_t = a.sqrt() * z0[i] + (1 - a).sqrt() * noise[i]
        if i == 0:
            rows = []
        rows.append(z_t)
    eps = model(torch.stack(rows), t)
    for row, target in zip(eps, noise):
        total = total + (row - target).square().mean()
    return total / len(z0)
