"""Running an API-format graph: here with our own functions, or on a ComfyUI server."""

import re
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mnistdiff.comfyui.conditioning import (
    NO_WEIGHTS,
    Conditioning,
    Part,
    guided_by,
    set_range,
)
from mnistdiff.comfyui.files import Workflow, read_workflow
from mnistdiff.comfyui.graph import Graph, check_graph, describe_node, is_link, nodes
from mnistdiff.errors import MnistdiffError
from mnistdiff.lora import merge_lora
from mnistdiff.pictures import read_grey, save_grid
from mnistdiff.pipeline import LORAS, TextToImagePipeline
from mnistdiff.samplers import as_eps, sample_ddim, sample_dpmpp_2m
from mnistdiff.storage import read_weights

SIDE = 16  # pixels of the empty latent; its (16, 2, 2) hold our 64 numbers


@dataclass(frozen=True)
class Model:
    """The value of a MODEL link: the network, with any LoRA merged, and its pipeline."""

    network: nn.Module
    pipeline: TextToImagePipeline


def run_workflow(
    workflow: Workflow | Graph | str | Path,
    *,
    server: str | None = None,
    output: str | Path | None = None,
    pipeline: TextToImagePipeline | None = None,
) -> Float[Tensor, "n 1 28 28"]:
    """Return the images, in [0, 1], that a workflow saves; those it previews if it saves none.

    `workflow` is a graph, a file in the API or the UI format, or the name of one of ours, such as
    "basic". With `server`, such as "http://127.0.0.1:8188", it runs on a real ComfyUI. Otherwise it
    runs here with `pipeline`, by default the shipped one, and SaveImage writes into the folder
    `output` if that is given. Raises MnistdiffError, naming node and input, if it cannot run.
    """
    if server is not None:
        from mnistdiff.comfyui.server import run_on_server, widget_names

        return run_on_server(read_workflow(workflow, widget_names(server)), server)
    workflow = read_workflow(workflow)
    graph = workflow.graph
    runner = _Runner(pipeline, None if output is None else Path(output), workflow.text_chunks())
    results: dict[str, tuple] = {}
    for name in check_graph(graph):
        wanted, inputs = nodes()[graph[name]["class_type"]].inputs, graph[name]["inputs"]
        given = {
            field: results[value[0]][value[1]] if is_link(value) else value
            for field, value in inputs.items()
            if field in wanted
        }
        try:
            results[name] = NODES[graph[name]["class_type"]](runner, **given)
        except MnistdiffError as error:
            raise MnistdiffError(f"{describe_node(graph, name)}: {error}") from error
    return join_images(runner.saved or runner.previewed)


class _Runner:
    """The nodes as methods: inputs by ComfyUI's names, outputs as a tuple."""

    def __init__(
        self, pipeline: TextToImagePipeline | None, output: Path | None, text: dict[str, str]
    ) -> None:
        self.pipeline, self.output, self.text = pipeline, output, text
        self.saved: list[Tensor] = []
        self.previewed: list[Tensor] = []

    def loader(self, model_name: str) -> tuple:
        pipeline = self.pipeline or TextToImagePipeline.from_pretrained(model_name)
        return Model(pipeline.eps_mlp, pipeline), pipeline, pipeline

    def lora_model(self, model: Model, lora_name: str, strength_model: float) -> tuple:
        network = deepcopy(model.network)
        merge_lora(network, read_weights(LORAS / lora_name)[0], strength_model)
        return (Model(network, model.pipeline),)

    def lora(
        self, model: Model, clip: Any, lora_name: str, strength_model: float, strength_clip: float
    ) -> tuple:
        return *self.lora_model(model, lora_name, strength_model), clip

    def encode_text(self, text: str, clip: TextToImagePipeline) -> tuple:
        return ((Part(clip.encode_prompts([_without_weights(text)])),),)

    def set_timestep_range(self, conditioning: Conditioning, start: float, end: float) -> tuple:
        return (set_range(conditioning, start, end),)

    def combine(self, conditioning_1: Conditioning, conditioning_2: Conditioning) -> tuple:
        return (conditioning_1 + conditioning_2,)

    def empty_latent(self, width: int, height: int, batch_size: int) -> tuple:
        if (width, height) != (SIDE, SIDE):
            raise MnistdiffError(
                f"the empty latent is {width}x{height}; tiny-mnist-sd needs {SIDE}x{SIDE}."
            )
        return (torch.zeros(batch_size, 64),)

    def sample(
        self,
        model: Model,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Conditioning,
        negative: Conditioning,
        latent_image: Tensor,
        denoise: float,
    ) -> tuple:
        if denoise == 0:
            return (latent_image,)
        pipeline = model.pipeline
        total = pipeline.schedule.num_train_timesteps
        timesteps = _timesteps(scheduler, steps, denoise, total)
        # as in ComfyUI: all noise at once, from torch's CPU generator
        noise = torch.randn(latent_image.shape, generator=torch.Generator().manual_seed(seed))
        abar = pipeline.schedule.alphas_cumprod
        at = abar[timesteps[0]]
        # as in ComfyUI: the last timestep starts with unit noise, although some signal remains
        spread = 1.0 if timesteps[0] == len(abar) - 1 else (1 - at).sqrt()
        noise = at.sqrt() * pipeline.scaling_factor * latent_image + spread * noise
        z0 = _SAMPLERS[sampler_name](
            as_eps(guided_by(model.network, positive, negative, cfg), pipeline.schedule),
            pipeline.schedule,
            latent_image.shape,
            timesteps=timesteps,
            noise=noise,
            # seed + 1: otherwise DDPM's first step would draw the starting noise again
            generator=torch.Generator().manual_seed((seed + 1) % 2**64),
        )
        return (z0 / pipeline.scaling_factor,)

    @torch.no_grad()
    def decode(self, samples: Tensor, vae: TextToImagePipeline) -> tuple:
        return (vae.vae.decode(samples),)

    def encode(self, pixels: Tensor, vae: TextToImagePipeline) -> tuple:
        if tuple(pixels.shape[2:]) != (28, 28):
            raise MnistdiffError(
                f"the picture is {pixels.shape[3]}x{pixels.shape[2]}; tiny-mnist-sd needs 28x28. "
                "Put an Upscale Image node (ImageScale, 28x28) before it."
            )
        return (vae.encode(pixels) / vae.scaling_factor,)

    def load_image(self, image: str) -> tuple:
        try:
            grey = read_grey(image)
        except (OSError, ValueError) as error:
            raise MnistdiffError(
                f"input image: {error}. Give the path of a picture of 28x28 pixels."
            ) from error
        return grey, torch.zeros_like(grey)

    def scale(
        self, image: Tensor, upscale_method: str, width: int, height: int, crop: str
    ) -> tuple:
        return (F.interpolate(image, (height, width), mode=upscale_method),)

    def preview(self, images: Tensor) -> tuple:
        self.previewed.append(images)
        return ()

    def save(self, images: Tensor, filename_prefix: str) -> tuple:
        self.saved.append(images)
        if self.output is not None:
            if ".." in Path(filename_prefix).parts or Path(filename_prefix).is_absolute():
                raise MnistdiffError(
                    f"input filename_prefix: {filename_prefix!r} is outside the output folder."
                )
            if not filename_prefix.isprintable():
                raise MnistdiffError(
                    f"input filename_prefix: {filename_prefix!r} has a character that no file name "
                    "can have; use letters, digits, _ and -."
                )
            first = _last_number(self.output / f"{filename_prefix}_") + 1
            for i, image in enumerate(images, start=first):
                path = self.output / f"{filename_prefix}_{i:05}_.png"
                save_grid(path, image[None], 1, text=self.text)
        return ()


NODES: dict[str, Callable[..., tuple]] = {
    "MnistdiffLoader": _Runner.loader,
    "LoraLoader": _Runner.lora,
    "LoraLoaderModelOnly": _Runner.lora_model,
    "CLIPTextEncode": _Runner.encode_text,
    "ConditioningSetTimestepRange": _Runner.set_timestep_range,
    "ConditioningCombine": _Runner.combine,
    "EmptyLatentImage": _Runner.empty_latent,
    "KSampler": _Runner.sample,
    "VAEDecode": _Runner.decode,
    "VAEEncode": _Runner.encode,
    "ImageScale": _Runner.scale,
    "LoadImage": _Runner.load_image,
    "SaveImage": _Runner.save,
    "PreviewImage": _Runner.preview,
}


def join_images(images: list[Tensor]) -> Float[Tensor, "n 1 h w"]:
    """Return all images as one tensor. Raises MnistdiffError if their sizes differ."""
    sizes = sorted({f"{image.shape[3]}x{image.shape[2]}" for image in images})
    if len(sizes) > 1:
        raise MnistdiffError(
            f"the workflow returns pictures of different sizes ({', '.join(sizes)}). Save those of "
            "one size with SaveImage, and show the others with PreviewImage."
        )
    return torch.cat(images)


def _last_number(prefix: Path) -> int:
    """Return the highest number of the saved images with this prefix, 0 if there is none."""
    numbered = re.compile(re.escape(prefix.name) + r"(\d+)_\.png")
    names = (path.name for path in prefix.parent.glob("*"))
    return max((int(found[1]) for name in names if (found := numbered.fullmatch(name))), default=0)


def _without_weights(text: str) -> str:
    """Remove ComfyUI's weights, as in "(seven:1.2)", and warn: our text encoder has none."""
    if re.search(r"(?<!\\)\(", text):
        warnings.warn(f"{text!r:.60}: {NO_WEIGHTS}", stacklevel=2)

    def replacement(found: re.Match) -> str:
        try:
            float(found[1])
        except ValueError:  # the colon belongs to the prompt
            return found[0]
        return ")"

    return re.sub(r":([^:()]*)\)", replacement, text)


def _ddpm(*arguments: Any, **options: Any) -> Tensor:
    return sample_ddim(*arguments, eta=1.0, **options)


# ComfyUI's `ddim` is Euler's method on the chosen schedule, which equals DDIM with eta 0
_SAMPLERS = {
    "ddim": sample_ddim,
    "euler": sample_ddim,
    "ddpm": _ddpm,
    "dpmpp_2m": sample_dpmpp_2m,
}


def _timesteps(scheduler: str, steps: int, denoise: float, total: int = 1_000) -> list[int]:
    """Return the timesteps of ComfyUI's sigmas; `denoise` < 1 keeps the last `steps` of them."""
    kept = steps if denoise > 0.9999 else int(min(steps / denoise, 1e9))  # ComfyUI's rule
    if scheduler == "simple":
        if kept > total:
            raise MnistdiffError(
                f"{steps} steps at denoise {denoise:g} need {kept} timesteps; there are {total}."
            )
        found = [total - 1 - int(i * (total / kept)) for i in range(kept)]
    else:
        found = list(range(1, total, max(total // kept, 1)))[::-1]
    return found if denoise > 0.9999 else found[-steps:]
