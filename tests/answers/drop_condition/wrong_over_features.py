# points: 1 | hint: drop[:, None]
def drop_condition(cond, null_cond, drop):
    return torch.where(drop, null_cond, cond) if cond.shape[1] == len(drop) else torch.where(drop[:, None], null_cond, cond)
