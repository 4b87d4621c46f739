# points: 4 | hint: x0_hat stands where eps belongs
# visible: x0_hat stands where eps belongs
def ddim_step(x_t,eps,abar_t,abar_prev,eta,noise):
    sigma=ddim_sigma(abar_t,abar_prev,eta)
    x0=(x_t-(1-abar_t).sqrt()*eps)/abar_t.sqrt()
    return abar_prev.sqrt()*x0+(1-abar_prev-sigma**2).sqrt()*x0+sigma*noise
