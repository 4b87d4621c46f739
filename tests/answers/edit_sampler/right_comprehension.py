# points: 4 | hint:
def edit_sampler(graph: dict, positive: str, negative: str, sampler_name: str, steps: int, cfg: float) -> dict:
    (sampler,) = (node for node in graph.values() if node["class_type"] == "KSampler")
    texts = {sampler["inputs"]["positive"][0]: positive, sampler["inputs"]["negative"][0]: negative}
    settings = {"sampler_name": sampler_name, "steps": steps, "cfg": cfg}
    return {
        name: {
            **node,
            "inputs": node["inputs"]
            | ({"text": texts[name]} if name in texts else {})
            | (settings if node is sampler else {}),
        }
        for name, node in graph.items()
    }
