# points: 0 | hint: sigma is zero at eta 1
def ddim_sigma(abar_t, abar_prev, eta):
    return 0.0
