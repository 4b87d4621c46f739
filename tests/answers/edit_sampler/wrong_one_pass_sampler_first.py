# points: 2 | hint: still has its old text
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    g = deepcopy(graph)
    pos = neg = None
    for k, n in g.items():
        if n["class_type"] == "KSampler":
            n["inputs"].update(sampler_name=sampler_name, steps=steps, cfg=cfg)
            pos, neg = n["inputs"]["positive"][0], n["inputs"]["negative"][0]
        elif k == pos:
            n["inputs"]["text"] = positive
        elif k == neg:
            n["inputs"]["text"] = negative
    return g
