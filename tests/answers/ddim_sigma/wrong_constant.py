# points: 1 | hint: sigma does not depend on
def ddim_sigma(abar_t, abar_prev, eta):
    return eta * 0.5 if abar_prev < 1 else 0.0
