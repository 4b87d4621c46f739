# points: 0 | hint: no node is new
def insert_lora(graph, lora_name, strength):
    return dict(graph)
