# points: 0 | hint: nothing is edited
def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    return dict(graph)
