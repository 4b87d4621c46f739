# points: 3 | hint:
def drop_condition(cond, null_cond, drop):
    out = cond.clone()
    out[drop] = null_cond
    return out
