# points: 3 | hint: rewire every input that used it
from copy import deepcopy


def insert_lora(graph, lora_name, strength):
    new = deepcopy(graph)
    loader = next(i for i, n in new.items() if n["class_type"] in ("MnistdiffLoader", "CheckpointLoaderSimple"))
    lora = str(max(map(int, new)) + 1)
    done = False
    for node in new.values():
        for field, value in node["inputs"].items():
            if value in ([loader, 0], [loader, 1]):
                if value[1] == 0 or not done:
                    node["inputs"][field] = [lora, value[1]]
                done = done or value[1] == 1
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
