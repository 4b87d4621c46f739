# points: 2 | hint: `cond` was changed in place
def drop_condition(cond, null_cond, drop):
    cond[drop] = null_cond
    return cond
