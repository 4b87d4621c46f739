# points: 2 | hint: it takes the place of cond
def drop_condition(cond, null_cond, drop):
    return cond + drop[:, None] * null_cond
