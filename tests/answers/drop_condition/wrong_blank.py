# points: 0 | hint: not written yet
def drop_condition(cond, null_cond, drop):
    raise NotImplementedError("fill in this cell")
