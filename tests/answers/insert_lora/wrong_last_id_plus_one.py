# points: 2 | hint: the LoraLoader took its id
from copy import deepcopy


def insert_lora(graph, lora_name, strength):
    g = deepcopy(graph)
    loader = next(k for k, n in g.items() if n["class_type"] in ("MnistdiffLoader", "CheckpointLoaderSimple"))
    new = str(int(list(g)[-1]) + 1)
    for n in g.values():
        for f, v in n["inputs"].items():
            if v in ([loader, 0], [loader, 1]):
                n["inputs"][f] = [new, v[1]]
    g[new] = {"class_type": "LoraLoader", "inputs": {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name, "strength_model": strength, "strength_clip": strength}}
    return g
