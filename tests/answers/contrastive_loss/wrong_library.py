# points: 0 | hint: is sealed while this cell is checked
import mnistdiff


def contrastive_loss(image_emb, text_emb, logit_scale):
    return mnistdiff.clip.contrastive_loss(image_emb, text_emb, logit_scale)
