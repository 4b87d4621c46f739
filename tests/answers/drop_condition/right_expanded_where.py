# points: 3 | hint:
def drop_condition(cond, null_cond, drop):
    keep = (~drop).nonzero().flatten()
    return null_cond.repeat(len(cond), 1).index_copy(0, keep, cond[keep])
