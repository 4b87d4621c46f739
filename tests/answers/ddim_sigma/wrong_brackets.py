# points: 0 | hint: check the brackets
# visible: check the brackets
def ddim_sigma(abar_t,abar_prev,eta):
    return eta*(1-abar_prev/1-abar_t*1-abar_t/abar_prev)**0.5
