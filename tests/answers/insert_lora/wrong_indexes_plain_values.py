# points: 0 | hint: isinstance(value, list)
# visible: isinstance(value, list)
from copy import deepcopy


def insert_lora(graph, lora_name, strength):
    g=deepcopy(graph)
    kinds=('MnistdiffLoader','CheckpointLoaderSimple')
    load=[k for k,n in g.items() if n['class_type'] in kinds][0]
    new='lora'
    for n in g.values():
        for f,v in n['inputs'].items():
            if v[0]==load:
                n['inputs'][f]=[new,v[1]]
    g[new]={'class_type':'LoraLoader','inputs':{'model':[load,0],'clip':[load,1],'lora_name':lora_name,'strength_model':strength,'strength_clip':strength}}
    return g
