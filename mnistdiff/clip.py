"""CLIP for digits: images and prompts in one space, where matching pairs are close.

After Radford et al. (2021), "Learning Transferable Visual Models From Natural Language
Supervision": an image encoder, a text encoder, and a symmetric contrastive loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import check_images
from mnistdiff.prompts import END, MAX_WORDS, VOCABULARY, tokenize

HEADS = 4  # attention heads of the text encoder


@dataclass(frozen=True)
class CLIPConfig:
    """Architecture of both encoders."""

    embed_dim: int = 128
    channels: tuple[int, int, int] = (32, 64, 64)
    text_width: int = 64
    text_layers: int = 2
    vocabulary_size: int = len(VOCABULARY)

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # JSON has only lists
        for name in ("embed_dim", "text_width", "text_layers", "vocabulary_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise MnistdiffError(f"{name} is {value!r}; it must be a whole number >= 1.")
        if self.text_width % HEADS:
            raise MnistdiffError(
                f"text_width is {self.text_width}; it must be a multiple of {HEADS} (heads)."
            )
        whole = all(isinstance(width, int) and width >= 1 for width in self.channels)
        if len(self.channels) != 3 or not whole:
            raise MnistdiffError(
                f"channels are {self.channels}; expected three whole numbers >= 1."
            )


class ImageEncoder(nn.Module):
    """Three convolutions, the first two with stride 2: (B, 1, 28, 28) to (B, embed_dim)."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        layers, width = [], 1
        for channels, kernel, stride in zip(config.channels, (5, 3, 3), (2, 2, 1), strict=True):
            layers += [
                nn.Conv2d(width, channels, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            width = channels
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear(width * 7 * 7, config.embed_dim)

    def forward(self, images: Float[Tensor, "b 1 28 28"]) -> Float[Tensor, "b e"]:
        return self.head(self.body(images))


class TextEncoder(nn.Module):
    """A small causal transformer; the end token's state becomes the embedding, as in CLIP."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        width = config.text_width
        self.words = nn.Embedding(config.vocabulary_size, width)
        self.positions = nn.Parameter(0.02 * torch.randn(MAX_WORDS + 1, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, HEADS, 2 * width, dropout=0.0, activation="gelu", batch_first=True,
                norm_first=True,
            )
            for _ in range(config.text_layers)
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.embed_dim, bias=False)

    def forward(self, tokens: Int[Tensor, "n l"]) -> Float[Tensor, "n e"]:
        h = self.words(tokens) + self.positions[: tokens.shape[1]]
        ahead = torch.ones(2 * tokens.shape[1:], dtype=torch.bool, device=tokens.device).triu(1)
        for layer in self.layers:
            h = layer(h, src_mask=ahead)  # causal: padding after the end token has no effect
        end = (tokens == END).int().argmax(dim=1)
        return self.head(self.norm(h[torch.arange(len(h)), end]))


class CLIP(nn.Module):
    """Two encoders into one space, and a learned scale of their similarities."""

    def __init__(self, config: CLIPConfig | None = None) -> None:
        super().__init__()
        self.config = config or CLIPConfig()
        self.image_encoder = ImageEncoder(self.config)
        self.text_encoder = TextEncoder(self.config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # Radford et al., 2.4

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """Return the factor of the cosine similarities; at most 100, as in the paper."""
        return self.log_scale.exp().clamp(max=100.0)

    def encode_image(self, images: Float[Tensor, "b 1 28 28"]) -> Float[Tensor, "b e"]:
        """Return embeddings, not normalised, of images in [0, 1]."""
        check_images(images)
        dtype = self.log_scale.dtype
        return self.image_encoder(images.to(dtype)).to(dtype)  # autocast gives half precision

    def encode_text(self, prompts: Sequence[str] | Int[Tensor, "n l"]) -> Float[Tensor, "n e"]:
        """Return embeddings, not normalised, of prompts or tokens. Raises as `words_of`."""
        if isinstance(prompts, str):
            prompts = [prompts]
        tokens = prompts if isinstance(prompts, Tensor) else tokenize(prompts)
        return self.text_encoder(tokens.to(self.log_scale.device)).to(self.log_scale.dtype)


def contrastive_loss(
    image_emb: Float[Tensor, "b e"],
    text_emb: Float[Tensor, "b e"],
    logit_scale: Float[Tensor, ""] | float,
    same: Bool[Tensor, "b b"] | None = None,
) -> Float[Tensor, ""]:
    """Return CLIP's loss: each image must find its text in the batch, and each text its image.

    Mean of the two cross-entropies over scaled cosine similarities (Radford et al., 2021,
    figure 3). `same` marks pairs off the diagonal that also match (the same digit twice in a
    batch): they are left out, because pushing them apart would be wrong.
    """
    similarity = logit_scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    if same is not None:
        others = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
        similarity = similarity.masked_fill(others, -math.inf)
    target = torch.arange(len(similarity), device=similarity.device)
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2


def zero_shot_accuracy(
    image_emb: Float[Tensor, "n e"], text_emb: Float[Tensor, "k e"], labels: Int[Tensor, " n"]
) -> float:
    """Return the share of images whose most similar text, by cosine, belongs to their label."""
    similarity = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return float((similarity.argmax(dim=1) == labels).double().mean())
