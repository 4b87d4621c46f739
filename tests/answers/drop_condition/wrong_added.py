# points: 2 | hint: replace cond, do not add to it
def drop_condition(cond, null_cond, drop):
    return cond + drop[:, None] * null_cond
