# points: 1 | hint: not zeros
def drop_condition(cond, null_cond, drop):
    return torch.where(drop[:, None], 0.0, cond)
