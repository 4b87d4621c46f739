# points: 1 | hint: the order and the ids of the nodes mean nothing
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    new = deepcopy(graph)
    sampler = next(n["inputs"] for n in new.values() if n["class_type"] == "KSampler")
    sampler["sampler_name"] = sampler_name
    sampler["steps"] = steps
    sampler["cfg"] = cfg
    encoders = [n for n in new.values() if n["class_type"] == "CLIPTextEncode"]
    encoders[0]["inputs"]["text"] = positive
    encoders[1]["inputs"]["text"] = negative
    return new
