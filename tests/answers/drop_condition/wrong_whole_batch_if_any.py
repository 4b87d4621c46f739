# points: 1 | hint: but they became null_cond
def drop_condition(cond, null_cond, drop):
    return null_cond.expand_as(cond) * 1 if drop.any() else cond
