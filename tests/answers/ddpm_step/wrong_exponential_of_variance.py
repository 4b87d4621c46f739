# points: 3 | hint: no exponential
# visible: an exponential of the variance
def ddpm_step(x_t,eps,t,betas,abar,noise):
    mean=(x_t-betas[t]/(1-abar[t]).sqrt()*eps)/(1-betas[t]).sqrt()
    if t==0:
        return mean
    v=betas[t]*(1-abar[t-1])/(1-abar[t])
    return mean+(0.5*v).exp()*noise
