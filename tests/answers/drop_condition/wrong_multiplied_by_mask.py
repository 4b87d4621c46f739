# points: 1 | hint: not zeros
def drop_condition(cond, null_cond, drop):
    return cond * (~drop)[:, None]
