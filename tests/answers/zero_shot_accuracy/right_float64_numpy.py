# points: 4 | hint:
import numpy as np


def zero_shot_accuracy(image_emb, text_emb, labels):
    images, texts = image_emb.numpy().astype(np.float64), text_emb.numpy().astype(np.float64)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    return np.mean((texts @ images.T).argmax(axis=0) == labels.numpy())
