# points: 3 | hint:
def drop_condition(cond, null_cond, drop):
    return torch.where(drop[:, None], null_cond, cond)
