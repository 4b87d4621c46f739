# points: 5 | hint: an operation in place
# visible: an operation in place
def contrastive_loss(image_emb,text_emb,logit_scale):
    image_emb /= image_emb.norm(dim=1,keepdim=True)
    text_emb /= text_emb.norm(dim=1,keepdim=True)
    s=logit_scale*image_emb@text_emb.T
    n=torch.arange(len(s))
    return (F.cross_entropy(s,n)+F.cross_entropy(s.T,n))/2
