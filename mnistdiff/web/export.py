"""Write the text-to-image model as a folder that a browser opens, without a server."""

import base64
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from mnistdiff.clip import HEADS
from mnistdiff.errors import MnistdiffError
from mnistdiff.lora import PREFIX, by_layer, merge_lora
from mnistdiff.pipeline import (
    BETAS,
    GUIDANCE_SCALE,
    GUIDANCE_SPAN,
    NAME,
    NUM_INFERENCE_STEPS,
    PARTS,
    TextToImagePipeline,
    find_lora,
)
from mnistdiff.prompts import DIGIT_NAMES, MAX_WORDS, VOCABULARY
from mnistdiff.storage import dump_metadata, read_weights, write_atomically

STATIC = Path(__file__).parent / "static"
# sampling needs neither the image encoder nor the VAE's encoder
SAMPLED = ("clip.text_encoder.", "eps_mlp.", "vae.decoder.", BETAS)


def export_web(
    pipeline: TextToImagePipeline,
    folder: str | Path,
    loras: Sequence[str | Path] = (),
) -> list[Path]:
    """Write the page, its engine and the weights to a folder; return the files.

    The weights are a safetensors file in half precision, inside a script: a page that is opened
    from a folder may not fetch data. Their header holds the model card. `loras` are names of
    shipped ones or files; the page offers each as a slider. Raises MnistdiffError if the engine
    does not know a network, if a LoRA does not fit, or if the folder cannot be written.
    """
    folder, adapters = Path(folder), {}
    _check_networks(pipeline)
    for lora in loras:
        path = find_lora(lora)
        adapters[path.stem.removesuffix("-v1").replace(".", "-")] = read_weights(path)[0]
    for tensors in adapters.values():
        merge_lora(deepcopy(pipeline.eps_mlp), tensors)
    payload = base64.b64encode(_weights(pipeline, adapters)).decode()
    script = f'"use strict";\nwindow.mnistdiff.receive("{payload}");\n'
    contents = {f"{NAME}.js": script.encode()}
    contents |= {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}
    page = contents["index.html"].replace(b"LORAS", ",".join(adapters).encode())
    contents["index.html"] = page
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _check_networks(pipeline: TextToImagePipeline) -> None:
    """Raise MnistdiffError unless each network is what the engine computes."""
    for name, (network, config) in PARTS.items():
        part = getattr(pipeline, name)
        known = type(part) is network and type(part.config) is config
        if not known or part.state_dict().keys() != network(part.config).state_dict().keys():
            raise MnistdiffError(
                f"the pipeline's {name} is a {type(part).__name__} that the page's engine does not "
                f"know; it computes the {network.__name__} of this library, without adapters in "
                "training (`merge_lora` adds them to the weights)."
            )
    if pipeline.clip.config.vocabulary_size != len(VOCABULARY):
        raise MnistdiffError(
            f"the text encoder knows {pipeline.clip.config.vocabulary_size} words; the page's "
            f"tokenizer has {len(VOCABULARY)}. Train it with this version's vocabulary."
        )


def _weights(
    pipeline: TextToImagePipeline,
    loras: Mapping[str, Mapping[str, Tensor]],
) -> bytes:
    tensors, meta = pipeline.packed()
    meta = {key: value for key, value in meta.items() if not key.endswith("history")}
    tensors = {key: value for key, value in tensors.items() if key.startswith(SAMPLED)}
    for name, adapters in loras.items():
        tensors |= _adapter_tensors(f"loras.{name}", by_layer(adapters, pipeline.eps_mlp))
    meta["prompts"] = {
        "vocabulary": VOCABULARY,
        "digit_names": DIGIT_NAMES,
        "max_words": MAX_WORDS,
        "heads": HEADS,
    }
    meta["defaults"] = {
        "guidance_scale": GUIDANCE_SCALE,
        "guidance_span": GUIDANCE_SPAN,
        "num_inference_steps": NUM_INFERENCE_STEPS,
    }
    contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    return save(contiguous, dump_metadata(meta))


def _adapter_tensors(prefix: str, layers: Mapping[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return a LoRA under the names that the engine reads, whatever program wrote it.

    Raises MnistdiffError if a number is too large for half precision.
    """
    tensors: dict[str, Tensor] = {}
    for layer, parts in layers.items():
        stem = f"{prefix}.{PREFIX}{layer}"
        for part in ("up", "down"):
            half = tensors[f"{stem}.lora_{part}.weight"] = parts[part].half()
            if not half.isfinite().all():
                raise MnistdiffError(f"the LoRA's numbers at {layer} do not fit half precision.")
        alpha = parts.get("alpha", torch.tensor(len(parts["down"])))
        tensors[f"{stem}.alpha"] = alpha.float().reshape(())
    return tensors
