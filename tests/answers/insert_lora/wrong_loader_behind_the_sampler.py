# points: 0 | hint: must come directly from the loader
from copy import deepcopy


def insert_lora(graph, lora_name, strength):
    g = deepcopy(graph)
    sampler = next(n for n in g.values() if n["class_type"] == "KSampler")
    loader = sampler["inputs"]["model"][0]
    new = str(max(map(int, g)) + 1)
    for n in g.values():
        for f, v in n["inputs"].items():
            if v in ([loader, 0], [loader, 1]):
                n["inputs"][f] = [new, v[1]]
    g[new] = {"class_type": "LoraLoader", "inputs": {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name, "strength_model": strength, "strength_clip": strength}}
    return g
