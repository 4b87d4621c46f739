# points: 0 | hint: the count contains NaN
# visible: the count contains NaN
def active_units(mu,threshold=0.01):
    return (mu.var(0)-threshold).sqrt().sum()
