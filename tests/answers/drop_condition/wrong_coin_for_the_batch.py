# points: 2 | hint: do not draw random numbers inside
import random


def drop_condition(cond, null_cond, drop):
    if random.random() < 0.1:
        return null_cond.expand_as(cond)
    return torch.where(drop[:, None], null_cond, cond)
