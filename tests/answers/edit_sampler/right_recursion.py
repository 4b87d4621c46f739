# points: 4 | hint:
def edit_sampler(graph, positive, negative, sampler_name, steps, cfg):
    def copy(part):
        if isinstance(part, dict):
            return {k: copy(v) for k, v in part.items()}
        if isinstance(part, list):
            return [copy(v) for v in part]
        return part

    def set_text(graph, link, text):
        node = graph[link[0]]
        return {**graph, link[0]: {**node, "inputs": {**node["inputs"], "text": text}}}

    graph = copy(graph)
    for name in graph:
        if graph[name]["class_type"] == "KSampler":
            k = graph[name]["inputs"]
            k["sampler_name"], k["steps"], k["cfg"] = sampler_name, steps, cfg
            graph = set_text(graph, k["positive"], positive)
            graph = set_text(graph, k["negative"], negative)
            return graph
