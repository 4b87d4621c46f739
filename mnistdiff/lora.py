"""Low-rank adapters (LoRA): a style as a small addition to some weight matrices.

Hu et al. (2022), "LoRA: Low-Rank Adaptation of Large Language Models", eq. 3:
W x becomes W x + strength (alpha / rank) B A x, with A (rank, in) and B (out, rank).
"""

import math
import re
from collections.abc import Iterator, Mapping
from numbers import Real

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError

PREFIX = "diffusion_model."  # ComfyUI's stock LoRA loader looks for keys with this prefix
# how other programs begin the name of a layer: PEFT, diffusers, and kohya with underscores
PREFIXES = re.compile(
    r"(base_model\.model\.|diffusion_model\.|unet\.|transformer\.|lora_unet_|lora_transformer_)+"
)
# kohya and ComfyUI say down and up, PEFT and diffusers A and B
PART = re.compile(r"(.+?)\.(?:lora[_.](down|up|A|B)(?:\.default)?\.weight|(alpha))")
SAME_PART = {"A": "down", "B": "up"}


class LoRALinear(nn.Module):
    """A frozen linear layer and its trainable low-rank addition, which starts at zero."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear, self.alpha, self.strength = linear, alpha, 1.0
        down = torch.randn(rank, linear.in_features) / linear.in_features**0.5
        self.down = nn.Parameter(down.to(linear.weight))
        self.up = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))

    def delta(self) -> Float[Tensor, "out in"]:
        """Return the matrix that strength 1 adds to the weight."""
        return self.alpha / len(self.down) * self.up @ self.down

    def forward(self, x: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
        return self.linear(x) + self.strength * F.linear(x, self.delta())


def inject_lora(network: nn.Module, rank: int = 4, alpha: float | None = None) -> list[LoRALinear]:
    """Add an adapter to every linear layer in `network.blocks`, freeze the rest; return them.

    `alpha` defaults to the rank: the addition is then B A itself. Raises MnistdiffError if rank is
    below 1, or if the network has no such layers or already has adapters.
    """
    if not isinstance(rank, int) or rank < 1:
        raise MnistdiffError(f"rank is {rank!r}; it must be a whole number >= 1.")
    if any(_adapters(network)):
        raise MnistdiffError(
            "the network has adapters already; merge them first with `merge_lora`."
        )
    network.requires_grad_(False)
    layers = []
    for name, linear in list(network.named_modules()):
        if isinstance(linear, nn.Linear) and name.startswith("blocks."):
            parent, _, child = name.rpartition(".")
            layers.append(LoRALinear(linear, rank, rank if alpha is None else alpha))
            setattr(network.get_submodule(parent), child, layers[-1])
    if not layers:
        raise MnistdiffError("the network has no linear layer in `blocks` to adapt.")
    return layers


def lora_state_dict(network: nn.Module) -> dict[str, Tensor]:
    """Return only the adapters, with the keys that ComfyUI's stock LoRA loader expects."""
    tensors = {}
    for name, layer in _adapters(network):
        tensors[f"{PREFIX}{name}.lora_down.weight"] = layer.down.detach()
        tensors[f"{PREFIX}{name}.lora_up.weight"] = layer.up.detach()
        tensors[f"{PREFIX}{name}.alpha"] = torch.tensor(float(layer.alpha))
    return tensors


def merge_lora(network: nn.Module, adapters: Mapping[str, Tensor], strength: float = 1.0) -> None:
    """Add `strength` times the adapters to the weights, in place.

    The names of PEFT, of diffusers and of kohya's scripts are understood, too; without an alpha it
    is the rank. Negative strengths subtract the style. Raises MnistdiffError, and leaves the
    weights unchanged, if the adapters belong to another network, hold anything that would be left
    out, or if the strength is not a finite number.
    """
    if not isinstance(strength, Real) or not math.isfinite(strength):
        raise MnistdiffError(f"a LoRA's strength is {strength!r}; it must be a finite number.")
    weights = dict(network.named_parameters())
    additions = []
    for name, parts in sorted(by_layer(adapters, network).items()):
        weight = weights.get(f"{name}.weight")
        up, down = parts.get("up"), parts.get("down")
        if weight is None or up is None or down is None or not _shapes_fit(weight, up, down):
            raise MnistdiffError(
                f"the LoRA does not fit this network at {name}: it was made for another network."
            )
        up, down = up.float(), down.float()
        alpha = parts.get("alpha", torch.tensor(float(len(down))))
        if alpha.numel() != 1 or not all(x.isfinite().all() for x in (up, down, alpha)):
            raise MnistdiffError(
                f"the LoRA is broken at {name}: it holds NaN or infinity, or alpha is not one "
                "number. Train it again."
            )
        merged = weight + strength * float(alpha) / len(down) * (up @ down).to(weight)
        if not merged.isfinite().all():
            raise MnistdiffError(
                f"strength {strength} of the LoRA is too large: weights at {name} overflow."
            )
        additions.append((weight, merged))
    with torch.no_grad():
        for weight, merged in additions:
            weight.copy_(merged)


def by_layer(adapters: Mapping[str, Tensor], network: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Return the parts "up", "down" and "alpha" of each layer, under the network's own names.

    Raises MnistdiffError for a key of another kind.
    """
    if not any("lora_" in key or ".lora." in key for key in adapters):
        raise MnistdiffError("the file holds no LoRA: none of its keys ends in .lora_up.weight.")
    with_underscores = {name.replace(".", "_"): name for name, _ in network.named_parameters()}
    layers: dict[str, dict[str, Tensor]] = {}
    for key, tensor in adapters.items():
        match = PART.fullmatch(key)
        if not match:
            raise MnistdiffError(
                f"the LoRA holds {key!r:.100}, which this network cannot use. Only lora_down and "
                "lora_up (in PEFT: lora_A and lora_B) and alpha are known: no DoRA, LyCORIS, "
                "bias or convolution."
            )
        layer, part, alpha = match.groups()
        layer = PREFIXES.sub("", layer, count=1) if PREFIXES.match(layer) else layer
        name = with_underscores.get(f"{layer}_weight", f"{layer}.weight").removesuffix(".weight")
        parts, part = layers.setdefault(name, {}), alpha or SAME_PART.get(part, part)
        if part in parts:
            raise MnistdiffError(f"the LoRA holds two matrices {part} for {name}; expected one.")
        parts[part] = tensor
    return layers


def _shapes_fit(weight: Tensor, up: Tensor, down: Tensor) -> bool:
    """Return whether up (out, rank) and down (rank, in) fit the weight's (out, in)."""
    if up.ndim != 2 or down.ndim != 2 or not len(down):
        return False
    return up.shape[1] == len(down) and (len(up), down.shape[1]) == weight.shape


def _adapters(network: nn.Module) -> Iterator[tuple[str, LoRALinear]]:
    return ((n, m) for n, m in network.named_modules() if isinstance(m, LoRALinear))
