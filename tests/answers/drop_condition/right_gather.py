# points: 3 | hint:
def drop_condition(cond, null_cond, drop):
    table = torch.cat([cond, null_cond[None]])
    idx = torch.where(drop, torch.full_like(drop, len(cond), dtype=torch.long), torch.arange(len(cond)))
    return table[idx]
