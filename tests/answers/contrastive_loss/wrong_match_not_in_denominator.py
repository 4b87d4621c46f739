# points: 3 | hint: missing from the denominator
# visible: missing from the softmax
def contrastive_loss(image_emb,text_emb,logit_scale):
    i=F.normalize(image_emb,dim=1)
    t=F.normalize(text_emb,dim=1)
    s=logit_scale*i@t.T
    n=torch.arange(len(s))
    e=s.exp()
    neg=e-torch.diag(e.diag())
    return -((e.diag()/neg.sum(1)).log().mean()+(e.diag()/neg.sum(0)).log().mean())/2
