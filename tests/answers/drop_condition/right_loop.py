# points: 3 | hint:
def drop_condition(cond, null_cond, drop):
    return torch.stack([null_cond if d else c for c, d in zip(cond, drop)])
