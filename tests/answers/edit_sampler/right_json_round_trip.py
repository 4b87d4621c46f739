# points: 4 | hint:
import json


def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    copy = json.loads(json.dumps(graph))
    for node in list(copy.values()):
        if node["class_type"] != "KSampler":
            continue
        node["inputs"].update(sampler_name=sampler_name, steps=steps, cfg=cfg)
        for which, text in dict(positive=positive, negative=negative).items():
            encoder, _ = node["inputs"][which]
            copy[encoder]["inputs"]["text"] = text
    return copy
