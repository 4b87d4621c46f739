# points: 3 | hint:
def drop_condition(cond: torch.Tensor, null_cond: torch.Tensor, drop: torch.Tensor) -> torch.Tensor:
    m = drop.float().unsqueeze(1)
    return m * null_cond + (1 - m) * cond
