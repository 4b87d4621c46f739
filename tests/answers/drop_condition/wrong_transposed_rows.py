# points: 1 | hint: null_cond
def drop_condition(cond, null_cond, drop):
    return torch.where(drop.flip(0)[:, None], null_cond, cond)
