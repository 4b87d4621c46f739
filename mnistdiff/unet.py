"""The pixel-space noise predictor: a small U-Net for 28x28 images in [-1, 1]."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import (
    GROUPS,
    GroupNorm,
    ResBlock,
    SelfAttention,
    check_images,
    residual_mlp,
    timestep_embedding,
    zero_parameters,
)

SIDE = 28


@dataclass(frozen=True)
class UNetConfig:
    """Channels at 14x14 and at 7x7, widths of the embedding and of the whole-image MLP."""

    channels: tuple[int, int] = (32, 64)
    emb_dim: int = 128
    width: int = 192

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # JSON has only lists
        if len(self.channels) != 2 or any(c < GROUPS or c % GROUPS for c in self.channels):
            raise MnistdiffError(
                f"channels are {self.channels}; expected two multiples of {GROUPS}."
            )


class WholeImage(nn.Module):
    """A residual MLP over all positions at once; it adds to the image and to the embedding.

    (B, C, side, side) and (B, E) to the same shapes; initialised as the identity. Convolutions
    see strokes; this MLP sees which digit they form. At 7x7 it costs a twentieth of the network's
    work, and the model needs far fewer epochs for the same quality.
    """

    def __init__(self, channels: int, side: int, emb_dim: int, width: int) -> None:
        super().__init__()
        self.sizes = [8 * side * side, emb_dim]
        self.norm = GroupNorm(channels)
        self.squeeze = nn.Conv2d(channels, 8, 1)
        self.mlp = residual_mlp(sum(self.sizes), width, 3, sum(self.sizes))
        self.expand = nn.Conv2d(8, channels, 1, bias=False)
        zero_parameters(self.mlp[-1])

    def forward(
        self, x: Float[Tensor, "b c h w"], emb: Float[Tensor, "b e"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b e"]]:
        h = self.squeeze(F.silu(self.norm(x)))  # (B, 8, side, side)
        seen = torch.cat([h.flatten(1), F.silu(emb)], dim=1)
        image, digit = self.mlp(seen).split(self.sizes, dim=1)
        return x + self.expand(image.reshape(h.shape)), emb + digit


class UNet(nn.Module):
    """A U-Net on patches of 2x2 pixels: one block per stage, a whole-image MLP in the middle.

    After Ho et al. (2020), appendix B, but skips add instead of concatenating, which halves the
    work of the first convolution of each block on the way up.
    """

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or UNetConfig()
        (fine, coarse), emb = self.config.channels, self.config.emb_dim
        self.emb = nn.Sequential(nn.Linear(emb, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.stem = nn.Conv2d(4, fine, 3, padding=1)
        self.fine_down = ResBlock(fine, fine, emb)
        self.down = nn.Conv2d(fine, coarse, 2, stride=2)
        self.coarse_down = ResBlock(coarse, coarse, emb)
        self.attention = SelfAttention(coarse)
        self.whole = WholeImage(coarse, SIDE // 4, emb, self.config.width)
        self.middle = ResBlock(coarse, coarse, emb)
        self.coarse_up = ResBlock(coarse, coarse, emb)
        self.up = nn.ConvTranspose2d(coarse, fine, 2, stride=2)
        self.fine_up = ResBlock(fine, fine, emb)
        self.head = nn.Sequential(GroupNorm(fine), nn.SiLU(), nn.Conv2d(fine, 4, 3, padding=1))

    def forward(
        self, x_t: Float[Tensor, "b 1 28 28"], t: Int[Tensor, " b"]
    ) -> Float[Tensor, "b 1 28 28"]:
        check_images(x_t)
        dtype = self.stem.weight.dtype
        emb = self.emb(timestep_embedding(t, self.config.emb_dim).to(dtype))
        stem = self.stem(F.pixel_unshuffle(x_t.to(dtype), 2))  # (B, fine, 14, 14)
        fine = self.fine_down(stem, emb)
        coarse = self.coarse_down(self.down(fine), emb)  # (B, coarse, 7, 7)
        h, emb = self.whole(self.attention(coarse), emb)
        h = self.middle(h, emb)
        h = self.coarse_up(h + coarse, emb)
        h = self.fine_up(self.up(h) + fine, emb)
        return F.pixel_shuffle(self.head(h + stem).to(dtype), 2)  # autocast gives half precision
