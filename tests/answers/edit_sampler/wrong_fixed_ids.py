# points: 0 | hint: raised KeyError
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    new = deepcopy(graph)
    new["6"]["inputs"] |= {"sampler_name": sampler_name, "steps": steps, "cfg": cfg}
    new["3"]["inputs"]["text"] = positive
    new["4"]["inputs"]["text"] = negative
    return new
