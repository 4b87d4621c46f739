# points: 1 | hint: the rows with drop = False must keep their cond
def drop_condition(cond, null_cond, drop):
    n = int(drop.sum())
    return torch.cat([null_cond.expand(n, -1), cond[n:]])
