# points: 3 | hint:
def drop_condition(cond, null_cond, drop):
    dropped = drop.view(-1, 1)
    return cond.masked_fill(dropped, 0.0) + dropped * null_cond
