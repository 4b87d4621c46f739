# points: 0 | hint: must be a class of networks
def EpsMLPCond(config):
    return lambda x_t, t, cond=None: x_t
