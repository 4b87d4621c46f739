# points: 0 | hint: is sealed while this cell is checked
from mnistdiff import latent


def drop_condition(cond, null_cond, drop):
    return latent.drop_condition(cond, null_cond, drop)
