# points: 0 | hint: not written yet
def insert_lora(graph, lora_name, strength):
    raise NotImplementedError("fill in this cell")
