# points: 3 | hint: the texts of the two encoders
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    new = deepcopy(graph)
    sampler = next(n["inputs"] for n in new.values() if n["class_type"] == "KSampler")
    sampler["sampler_name"] = sampler_name
    sampler["steps"] = steps
    sampler["cfg"] = cfg
    new[sampler["positive"][0]]["inputs"]["text"] = positive
    new[sampler["negative"][0]]["inputs"]["text"] = negative
    for name, node in new.items():
        if node["class_type"] == "CLIPTextEncode" and name not in (sampler["positive"][0], sampler["negative"][0]):
            node["inputs"]["text"] = negative
    return new
