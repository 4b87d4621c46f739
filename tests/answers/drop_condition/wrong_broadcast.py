# points: 0 | hint: raised RuntimeError in line
def drop_condition(cond, null_cond, drop):
    return torch.where(drop, null_cond, cond)
