# points: 4 | hint:
import json


def insert_lora(graph, lora_name, strength):
    text = json.dumps(graph)
    for loader in [k for k in graph if "oader" in graph[k]["class_type"] and ("ckpt_name" in graph[k]["inputs"] or "model_name" in graph[k]["inputs"])]:
        n = 1
        while str(n) in graph:
            n += 1
        for slot in (0, 1):
            text = text.replace(json.dumps([loader, slot]), json.dumps([str(n), slot]))
    result = json.loads(text)
    result[str(n)] = dict(class_type="LoraLoader", inputs=dict(lora_name=lora_name, strength_clip=strength, strength_model=strength, clip=[loader, 1], model=[loader, 0]))
    return result
