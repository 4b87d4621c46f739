# points: 0 | hint: use .float()
# visible: use .float()
def zero_shot_accuracy(image_emb,text_emb,labels):
    i=F.normalize(image_emb,dim=1)
    t=F.normalize(text_emb,dim=1)
    s=i@t.T
    return (s.argmax(1)==labels).mean()
