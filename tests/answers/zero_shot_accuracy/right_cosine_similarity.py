# points: 4 | hint:
def zero_shot_accuracy(image_emb: torch.Tensor, text_emb: torch.Tensor, labels: torch.Tensor) -> float:
    cosine = F.cosine_similarity(image_emb[:, None], text_emb[None], dim=-1)
    predicted = torch.topk(cosine, 1).indices.squeeze(1)
    return 1 - torch.count_nonzero(predicted - labels).item() / labels.numel()
