# points: 0 | hint: not written yet
def ddim_sigma(abar_t, abar_prev, eta):
    raise NotImplementedError("fill in this cell")
