# points: 3 | hint: is new: edit the existing nodes
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    new = deepcopy(graph)
    sampler = next(n["inputs"] for n in new.values() if n["class_type"] == "KSampler")
    sampler["sampler_name"] = sampler_name
    sampler["steps"] = steps
    sampler["cfg"] = cfg
    for i, which, text in (("p", "positive", positive), ("n", "negative", negative)):
        clip = new[sampler[which][0]]["inputs"]["clip"]
        new[i] = {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": clip}}
        sampler[which] = [i, 0]
    return new
