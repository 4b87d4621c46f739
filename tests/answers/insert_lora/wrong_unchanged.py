# points: 0 | hint: there is no new node
def insert_lora(graph, lora_name, strength):
    return dict(graph)
