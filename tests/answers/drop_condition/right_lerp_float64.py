# points: 3 | hint:
def drop_condition(cond, null_cond, drop):
    rows = null_cond.double().expand(cond.shape)
    return torch.lerp(cond.double(), rows, drop.double()[:, None])
