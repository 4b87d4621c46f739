# points: 1 | hint: but they are still cond
def drop_condition(cond, null_cond, drop):
    return cond
