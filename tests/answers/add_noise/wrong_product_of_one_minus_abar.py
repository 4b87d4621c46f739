# points: 2 | hint: already the cumulative product
# visible: already is the cumulative product
def add_noise(x0,t,noise,abar):
    a=torch.cumprod(1-abar,0)[t].view(-1,*[1]*(x0.ndim-1))
    return a.sqrt()*x0+(1-a).sqrt()*noise
