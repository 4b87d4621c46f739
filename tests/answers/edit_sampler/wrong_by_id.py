# points: 1 | hint: the order and the ids of the nodes mean nothing
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    new = deepcopy(graph)
    sampler = next(n["inputs"] for n in new.values() if n["class_type"] == "KSampler")
    sampler["sampler_name"] = sampler_name
    sampler["steps"] = steps
    sampler["cfg"] = cfg
    ids = sorted(int(i) for i, n in new.items() if n["class_type"] == "CLIPTextEncode")
    new[str(ids[0])]["inputs"]["text"] = positive
    new[str(ids[1])]["inputs"]["text"] = negative
    return new
