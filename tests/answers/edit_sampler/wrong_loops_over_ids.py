# points: 0 | hint: graph.values() gives the nodes
# visible: graph.values() gives the nodes
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    g=deepcopy(graph)
    for n in g:
        if n['class_type']=='KSampler':
            n['inputs']['steps']=steps
    return g
