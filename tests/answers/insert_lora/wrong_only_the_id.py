# points: 2 | hint: must be a link, a list [id, output]
from copy import deepcopy


def insert_lora(graph, lora_name, strength):
    new = deepcopy(graph)
    loader = next(i for i, n in new.items() if n["class_type"] in ("MnistdiffLoader", "CheckpointLoaderSimple"))
    lora = str(max(map(int, new)) + 1)
    for node in new.values():
        for field, value in node["inputs"].items():
            if value in ([loader, 0], [loader, 1]):
                node["inputs"][field] = lora
    new[lora] = {
        "class_type": "LoraLoader",
        "inputs": {
            "model": [loader, 0],
            "clip": [loader, 1],
            "lora_name": lora_name,
            "strength_model": strength,
            "strength_clip": strength,
        },
    }
    return new
