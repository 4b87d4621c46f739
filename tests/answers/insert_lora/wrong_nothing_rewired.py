# points: 2 | hint: rewire every input that used it
from copy import deepcopy


def insert_lora(graph, lora_name, strength):
    new = deepcopy(graph)
    loader = next(i for i, n in new.items() if n["class_type"] in ("MnistdiffLoader", "CheckpointLoaderSimple"))
    lora = str(max(map(int, new)) + 1)
    for node in new.values():
        for field, value in node["inputs"].items():
            if False:
                node["inputs"][field] = [lora, value[1]]
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
