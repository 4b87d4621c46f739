# points: 2 | hint: the LoraLoader took its id
from copy import deepcopy


def insert_lora(graph, lora_name, strength):
    g = deepcopy(graph)
    loader = next(k for k, v in g.items() if v["class_type"] in ("MnistdiffLoader", "CheckpointLoaderSimple"))
    new = str(int(max(g)) + 1)
    for v in g.values():
        for f, x in v["inputs"].items():
            if x in ([loader, 0], [loader, 1]):
                v["inputs"][f] = [new, x[1]]
    g[new] = {"class_type": "LoraLoader", "inputs": {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name, "strength_model": strength, "strength_clip": strength}}
    return g
