# points: 1 | hint: but they are still cond
def drop_condition(cond, null_cond, drop):
    return null_cond.expand_as(cond) + 0 * cond if drop.all() else cond + 0 * null_cond
