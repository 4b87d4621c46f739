# points: 4 | hint:
def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    number = {name: f"n{i}" for i, name in enumerate(sorted(graph))}
    out = {}
    for name in sorted(graph):
        inputs = {k: [number[v[0]], v[1]] if isinstance(v, list) else v for k, v in graph[name]["inputs"].items()}
        out[number[name]] = {"inputs": inputs, "class_type": graph[name]["class_type"]}
    for node in out.values():
        if node["class_type"] == "KSampler":
            node["inputs"] |= {"sampler_name": sampler_name, "steps": steps, "cfg": cfg}
            out[node["inputs"]["negative"][0]]["inputs"]["text"] = negative
            out[node["inputs"]["positive"][0]]["inputs"]["text"] = positive
    return out
