# points: 3 | hint: is lost: an edit keeps every node
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    new = deepcopy(graph)
    sampler = next(n["inputs"] for n in new.values() if n["class_type"] == "KSampler")
    sampler["sampler_name"] = sampler_name
    sampler["steps"] = steps
    sampler["cfg"] = cfg
    new[sampler["positive"][0]]["inputs"]["text"] = positive
    new[sampler["negative"][0]]["inputs"]["text"] = negative
    keep = {sampler["positive"][0], sampler["negative"][0]}
    return {i: n for i, n in new.items() if i in keep or n["class_type"] == "KSampler"}
