# points: 4 | hint:
def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    (sid, s), = ((k, v) for k, v in graph.items() if v["class_type"] == "KSampler")
    new = {"sampler_name": sampler_name, "steps": steps, "cfg": cfg}
    out = dict(graph)
    out[sid] = {**s, "inputs": {**s["inputs"], **new}}
    for key, text in zip(("positive", "negative"), (positive, negative)):
        e = s["inputs"][key][0]
        out[e] = {**graph[e], "inputs": {**graph[e]["inputs"], "text": text}}
    return out
