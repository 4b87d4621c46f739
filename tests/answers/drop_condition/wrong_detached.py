# points: 2 | hint: no gradient reaches `null_cond`
def drop_condition(cond, null_cond, drop):
    return torch.where(drop[:, None], null_cond.detach(), cond)
