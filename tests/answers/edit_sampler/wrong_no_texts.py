# points: 2 | hint: still has its old text
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    new = deepcopy(graph)
    sampler = next(n["inputs"] for n in new.values() if n["class_type"] == "KSampler")
    sampler["sampler_name"] = sampler_name
    sampler["steps"] = steps
    sampler["cfg"] = cfg
    return new
