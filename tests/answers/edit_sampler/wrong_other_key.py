# points: 2 | hint: sampler_name is unchanged
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    new = deepcopy(graph)
    sampler = next(n["inputs"] for n in new.values() if n["class_type"] == "KSampler")
    sampler["sampler"] = sampler_name
    sampler["steps"] = steps
    sampler["cfg"] = cfg
    new[sampler["positive"][0]]["inputs"]["text"] = positive
    new[sampler["negative"][0]]["inputs"]["text"] = negative
    return new
