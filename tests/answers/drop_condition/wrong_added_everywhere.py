# points: 2 | hint: null_cond was added to them
def drop_condition(cond, null_cond, drop):
    return torch.where(drop[:, None], null_cond, cond + null_cond)
