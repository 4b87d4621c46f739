# points: 0 | hint: must come directly from the loader
from copy import deepcopy


def insert_lora(graph, lora_name, strength):
    g = deepcopy(graph)
    loader = next(k for k, v in g.items() if "Loader" in v["class_type"])
    new = str(max(map(int, g)) + 1)
    for v in g.values():
        for f, x in v["inputs"].items():
            if x in ([loader, 0], [loader, 1]):
                v["inputs"][f] = [new, x[1]]
    g[new] = {"class_type": "LoraLoader", "inputs": {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name, "strength_model": strength, "strength_clip": strength}}
    return g
