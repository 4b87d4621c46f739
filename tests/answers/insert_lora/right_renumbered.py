# points: 4 | hint:
def insert_lora(graph, lora_name, strength):
    """All nodes get new numbers: the graph is the same."""
    number = {name: str(i + 2) for i, name in enumerate(graph)}
    out = {}
    for name, node in graph.items():
        if node["class_type"] in ("MnistdiffLoader", "CheckpointLoaderSimple"):
            loader = name
    for name, node in graph.items():
        inputs = {}
        for field, value in node["inputs"].items():
            if type(value) is list:
                source, slot = value
                inputs[field] = ["1" if source == loader and slot < 2 else number[source], slot]
            else:
                inputs[field] = value
        out[number[name]] = {"class_type": node["class_type"], "inputs": inputs}
    first = number[loader]
    out["1"] = {"class_type": "LoraLoader", "inputs": {"lora_name": lora_name, "model": [first, 0], "clip": [first, 1], "strength_model": strength, "strength_clip": strength}}
    return out
