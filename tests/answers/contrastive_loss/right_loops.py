# points: 6 | hint:
def one_way(first, second, scale):
    total = 0.0
    for i in range(len(first)):
        row = []
        for j in range(len(second)):
            a, b = first[i], second[j]
            row.append(scale * (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt()))
        total = total - (row[i] - torch.logsumexp(torch.stack(row), 0))
    return total / len(first)


def contrastive_loss(image_emb, text_emb, logit_scale):
    return 0.5 * one_way(image_emb, text_emb, logit_scale) + 0.5 * one_way(
        text_emb, image_emb, logit_scale
    )
