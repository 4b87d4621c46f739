# points: 0 | hint: do not draw random numbers inside
def drop_condition(cond, null_cond, drop):
    return torch.where(torch.rand(len(cond), 1) < 0.5, null_cond, cond)
