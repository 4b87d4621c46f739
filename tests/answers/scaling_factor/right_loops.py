# points: 3 | hint:
def scaling_factor(latents):
    values = [v for row in latents.tolist() for v in row]
    mean = sum(values) / len(values)
    return (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** -0.5
