# points: 2 | hint: `cond` itself was changed
def drop_condition(cond, null_cond, drop):
    cond[drop] = null_cond
    return cond
