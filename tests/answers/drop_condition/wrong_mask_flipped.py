# points: 1 | hint: the mask is inverted
def drop_condition(cond, null_cond, drop):
    return torch.where(drop[:, None], cond, null_cond)
