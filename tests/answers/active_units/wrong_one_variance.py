# points: 0 | hint: variance > threshold
# visible: one variance over all entries
def active_units(mu,threshold=0.01):
    return int(mu.var()>threshold)
