# points: 4 | hint:
import uuid


def insert_lora(graph: dict, lora_name: str, strength: float) -> dict:
    (loader,) = [
        key for key, node in graph.items()
        if node["class_type"] == "MnistdiffLoader" or node["class_type"] == "CheckpointLoaderSimple"
    ]
    lora = uuid.uuid4().hex
    moved = {(loader, 0): (lora, 0), (loader, 1): (lora, 1)}

    def follow(value):
        return moved.get(tuple(value), value) if isinstance(value, list) else value

    inputs = {"model": (loader, 0), "clip": (loader, 1), "lora_name": lora_name}
    inputs["strength_model"] = inputs["strength_clip"] = strength
    return {lora: {"inputs": inputs, "class_type": "LoraLoader"}} | {
        key: {**node, "inputs": {k: follow(v) for k, v in node["inputs"].items()}}
        for key, node in graph.items()
    }
