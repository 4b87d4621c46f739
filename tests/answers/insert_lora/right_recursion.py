# points: 4 | hint:
def insert_lora(graph, lora_name, strength):
    loaders = {"MnistdiffLoader", "CheckpointLoaderSimple"}
    loader = [i for i in graph if graph[i]["class_type"] in loaders][0]
    fresh = "lora"
    while fresh in graph:
        fresh += "_again"

    def walk(part):
        if isinstance(part, dict):
            return {key: walk(value) for key, value in part.items()}
        if isinstance(part, list) and part[0] == loader and part[1] < 2:
            return [fresh, part[1]]
        return list(part) if isinstance(part, list) else part

    out = walk(graph)
    out[fresh] = {
        "class_type": "LoraLoader",
        "inputs": {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name,
                   "strength_model": strength, "strength_clip": strength},
        "_meta": {"title": "Load LoRA"},
    }
    return out
