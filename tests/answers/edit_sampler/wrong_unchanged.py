# points: 0 | hint: the returned graph is unchanged
def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    return dict(graph)
