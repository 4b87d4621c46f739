# points: 3 | hint:
def drop_condition(cond, null_cond, drop):
    cond[drop] = null_cond
    return cond
