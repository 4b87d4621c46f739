# points: 0 | hint: not written yet
def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
    raise NotImplementedError("fill in this cell")
