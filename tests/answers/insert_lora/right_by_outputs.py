# points: 4 | hint:
def insert_lora(graph, lora_name, strength):
    new_graph = {k: {**v, "inputs": dict(v["inputs"])} for k, v in graph.items()}
    loader = next(k for k, v in graph.items() if "ckpt_name" in v["inputs"] or "model_name" in v["inputs"])
    nid = "9" * (max(map(len, graph)) + 1)
    for k, v in new_graph.items():
        for name, val in list(v["inputs"].items()):
            match val:
                case [src, (0 | 1) as slot] if src == loader:
                    v["inputs"][name] = [nid, slot]
    new_graph[nid] = {"class_type": "LoraLoader", "inputs": {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name, "strength_model": strength, "strength_clip": strength}}
    return new_graph
