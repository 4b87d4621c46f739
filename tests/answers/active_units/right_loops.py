# points: 3 | hint:
def active_units(mu, threshold=0.01):
    active = 0
    for column in mu.T:
        if column.std() ** 2 > threshold:
            active += 1
    return active
