# points: 3 | hint: input clip of node
from copy import deepcopy


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    g = deepcopy(graph)
    s = next(n["inputs"] for n in g.values() if n["class_type"] == "KSampler")
    s.update(sampler_name=sampler_name, steps=steps, cfg=cfg)
    g[s["positive"][0]]["inputs"] = {"text": positive}
    g[s["negative"][0]]["inputs"] = {"text": negative}
    return g
