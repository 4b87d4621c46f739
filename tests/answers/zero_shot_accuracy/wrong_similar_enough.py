# points: 2 | hint: argmax
# visible: by argmax of the cosine
def zero_shot_accuracy(image_emb,text_emb,labels):
    return (F.cosine_similarity(image_emb,text_emb[labels])>0.5).float().mean().item()
