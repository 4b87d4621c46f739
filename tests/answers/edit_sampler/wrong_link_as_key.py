# points: 0 | hint: link[0]
# visible: link[0]
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    edited = deepcopy(graph)
    sampler = next(n["inputs"] for n in edited.values() if n["class_type"] == "KSampler")
    sampler.update(sampler_name=sampler_name, steps=steps, cfg=cfg)
    edited[sampler["positive"]]["inputs"]["text"] = positive
    edited[sampler["negative"]]["inputs"]["text"] = negative
    return edited
