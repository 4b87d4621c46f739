# points: 2 | hint: still has its old text
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    g = deepcopy(graph)
    encoders = {}
    for k, n in g.items():
        if n["class_type"] == "CLIPTextEncode":
            encoders[k] = n
        if n["class_type"] == "KSampler":
            n["inputs"].update(sampler_name=sampler_name, steps=steps, cfg=cfg)
            for f, text in (("positive", positive), ("negative", negative)):
                i = n["inputs"][f][0]
                if i in encoders:
                    encoders[i]["inputs"]["text"] = text
    return g
