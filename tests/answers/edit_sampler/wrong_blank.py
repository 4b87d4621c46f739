# points: 0 | hint: not written yet
def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    raise NotImplementedError("fill in this cell")
