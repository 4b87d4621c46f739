# points: 4 | hint: you averaged over all entries
def contrastive_loss(image_emb, text_emb, logit_scale):
    image_emb = F.normalize(image_emb, dim=1)
    text_emb = F.normalize(text_emb, dim=1)
    similarity = logit_scale * image_emb @ text_emb.T
    own = torch.eye(len(similarity))
    rows, columns = similarity.log_softmax(1), similarity.log_softmax(0)
    return -(own * (rows + columns) / 2).mean()
