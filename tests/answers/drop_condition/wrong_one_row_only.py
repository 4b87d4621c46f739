# points: 0 | hint: expected shape
def drop_condition(cond, null_cond, drop):
    return cond[~drop]
