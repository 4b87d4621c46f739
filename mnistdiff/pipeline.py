"""Text to image: a prompt becomes a CLIP embedding, a guided latent, and a decoded digit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mnistdiff.clip import CLIP, CLIPConfig
from mnistdiff.errors import MnistdiffError
from mnistdiff.latent import EpsMLPCond, EpsMLPCondConfig
from mnistdiff.layers import check_images
from mnistdiff.lora import merge_lora
from mnistdiff.prompts import digit_in
from mnistdiff.runtime import reuse_memory
from mnistdiff.samplers import (
    as_eps,
    find_sampler,
    inference_timesteps,
    interpolate_noise,
)
from mnistdiff.schedules import NoiseSchedule, add_noise, cosine_beta_schedule
from mnistdiff.storage import PACKAGED, configured, load_into, read_weights, save_weights, under
from mnistdiff.vae import VAE, VAEConfig

NAME = "tiny-mnist-sd"
LORAS = PACKAGED / "loras"  # a folder of their own, which ComfyUI lists
GUIDANCE_SCALE = 1.4  # chosen with the second classifier
CHUNK = 250  # images sampled together: larger batches leave the processor's cache
BETAS = "schedule.betas"  # in a file; one without them has the shipped model's schedule
PARTS = {
    "clip": (CLIP, CLIPConfig),
    "eps_mlp": (EpsMLPCond, EpsMLPCondConfig),
    "vae": (VAE, VAEConfig),
}


class PipelineOutput(NamedTuple):
    """Images (N, 1, 28, 28) in [0, 1] and the latents (N, D) that they were decoded from."""

    images: Float[Tensor, "n 1 28 28"]
    latents: Float[Tensor, "n d"]


class TextToImagePipeline:
    """`tiny-mnist-sd`: CLIP, the conditioned noise predictor and the VAE, as one function.

    Arguments have the names of diffusers' StableDiffusionPipeline.
    """

    def __init__(
        self,
        clip: CLIP,
        eps_mlp: EpsMLPCond,
        vae: VAE,
        scaling_factor: float,
        schedule: NoiseSchedule | None = None,
    ) -> None:
        if not isinstance(scaling_factor, Real) or not 0 < scaling_factor < float("inf"):
            raise MnistdiffError(
                f"scaling_factor is {scaling_factor!r}; it must be a number above 0, such as "
                "`compute_scaling_factor` gives."
            )
        self.clip, self.eps_mlp, self.vae = clip.eval(), eps_mlp.eval(), vae.eval()
        self.scaling_factor = float(scaling_factor)  # NumPy's would not go into a file's header
        self.data = "not told"  # which digits it learned from
        self.schedule = schedule or NoiseSchedule(cosine_beta_schedule(1000))
        self.model = as_eps(eps_mlp, self.schedule)  # the network predicts v

    @classmethod
    def from_pretrained(cls, path: str | Path = NAME) -> "TextToImagePipeline":
        """The shipped model by its name, or one that `save_pretrained` wrote to a folder.

        Raises MnistdiffError for a folder that holds none.
        """
        shipped, own = PACKAGED / f"{NAME}-v1.safetensors", Path(path) / f"{NAME}.safetensors"
        file = shipped if path == NAME else own
        tensors, meta = read_weights(file)
        if missing := {*PARTS, "scaling_factor"} - meta.keys():
            raise MnistdiffError(
                f"{file} is no {NAME}: it does not tell {', '.join(sorted(missing))}. Name a "
                "folder that `save_pretrained` or `mnistdiff train tiny-sd --out` wrote."
            )
        parts = {}
        for name, (network, config) in PARTS.items():
            parts[name] = network(configured(config, meta[name], file))
            load_into(parts[name], under(f"{name}.", tensors), file)
        schedule = NoiseSchedule(tensors[BETAS]) if BETAS in tensors else None
        pipeline = cls(**parts, scaling_factor=meta["scaling_factor"], schedule=schedule)
        pipeline.data = "mnist" if file == shipped else meta.get("data", pipeline.data)
        return pipeline

    def save_pretrained(self, folder: str | Path, story: dict[str, Any] | None = None) -> Path:
        """Write one safetensors file, half precision, with the configurations in its header.

        `story` adds what a model card says. Raises MnistdiffError when the folder cannot be
        written.
        """
        path = Path(folder) / f"{NAME}.safetensors"
        save_weights(path, *self.packed(story))
        return path

    def packed(self, story: dict[str, Any] | None = None) -> tuple[dict[str, Tensor], dict]:
        """Tensors and metadata as a file holds them."""
        parts = {name: getattr(self, name) for name in PARTS}
        tensors = {
            f"{name}.{key}": value.half() if value.is_floating_point() else value
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        tensors[BETAS] = self.schedule.betas  # whole: the last timesteps hang on every digit
        configs = {name: asdict(part.config) for name, part in parts.items()}
        told = {"data": self.data} | (story or {})
        return tensors, told | configs | {"scaling_factor": self.scaling_factor}

    def load_lora(self, name: str | Path, strength: float = 1.0) -> None:
        """Add a style to the noise predictor: a shipped LoRA by its name, or a file of one.

        Calling it again adds on top; a negative strength takes away. Raises MnistdiffError for
        an unknown name and for a LoRA of another network.
        """
        shipped = {path.stem.removesuffix("-v1"): path for path in sorted(LORAS.glob("*-v1.*"))}
        path = shipped.get(str(name), Path(name))
        if not path.is_file():
            raise MnistdiffError(
                f"there is no LoRA {str(name)!r}: {', '.join(shipped) or 'none'} come with the "
                "package, and no such file exists."
            )
        merge_lora(self.eps_mlp, read_weights(path)[0], strength)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Float[Tensor, "n e"]:
        """Normalised CLIP embeddings; a prompt that names no digit, as "", is the null condition.

        Raises MnistdiffError for words outside the vocabulary.
        """
        rows = self.eps_mlp.null_cond.detach().repeat(len(prompts), 1)
        named = [i for i, prompt in enumerate(prompts) if digit_in(prompt) is not None]
        if named:
            text = self.clip.encode_text([prompts[i] for i in named])
            rows[named] = nn.functional.normalize(text, dim=1)
        return rows

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        negative_prompt: str | Sequence[str] = "",
        *,
        num_inference_steps: int = 50,
        guidance_scale: float = GUIDANCE_SCALE,
        eta: float = 0.0,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | None = None,
        sampler: str = "ddim",
        image: Float[Tensor, "k 1 28 28"] | None = None,
        strength: float = 0.8,
        callback: Callable[[int, int, Tensor, Tensor], Any] | None = None,
    ) -> PipelineOutput:
        """Draw `num_images_per_prompt` digits for each prompt, a prompt's images side by side.

        The noise of all images, (N, D), is drawn first, from the CPU `generator`: what comes after
        an image changes it by float rounding alone (below 1e-5). With eta above 0 each step's noise
        is drawn for up to 250 images together, so that another number of images gives others.
        `image` in [0, 1], one for all or one for each, starts from a picture noised by `strength`
        in (0, 1] instead (Meng et al., 2022, "SDEdit"). `callback(step, t, z_t, z0_hat)` sees every
        step of each 250 images. Raises MnistdiffError for words outside the vocabulary and settings
        outside their range.
        """
        prompts = _listed(prompt)
        negatives = _listed("" if negative_prompt is None else negative_prompt)
        if len(negatives) == 1:
            negatives *= len(prompts)
        _check_counts(prompts, negatives, num_images_per_prompt)
        _check_generator(generator)
        each = int(num_images_per_prompt)
        cond = self.encode_prompts(prompts).repeat_interleave(each, dim=0)
        uncond = self.encode_prompts(negatives).repeat_interleave(each, dim=0)
        if image is not None:
            _check_start(image, len(cond))
        return self.denoise(
            cond,
            uncond,
            torch.randn(len(cond), self.vae.config.latent_dim, generator=generator),
            guidance_scale=guidance_scale,
            sampler=sampler,
            generator=generator,
            callback=callback,
            **_steps(num_inference_steps, sampler, eta),
            **({} if image is None else {"start": self.encode(image), "strength": strength}),
        )

    def interpolate(
        self,
        start: str,
        end: str,
        frames: int = 8,
        *,
        generator: torch.Generator | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = GUIDANCE_SCALE,
    ) -> PipelineOutput:
        """One noise, and a condition that wanders along the sphere from one prompt to another.

        Raises as `__call__`, and for frames below 1.
        """
        if not isinstance(frames, Integral) or frames < 1:
            raise MnistdiffError(f"frames is {frames!r}; it must be a whole number >= 1.")
        _check_generator(generator)
        ends = self.encode_prompts([start, end])
        cond = interpolate_noise(*ends, torch.linspace(0, 1, int(frames)))
        noise = torch.randn(1, self.vae.config.latent_dim, generator=generator)
        return self.denoise(
            cond,
            self.encode_prompts([""] * frames),
            noise.expand(frames, -1),
            guidance_scale=guidance_scale,
            num_inference_steps=num_inference_steps,
        )

    @torch.no_grad()
    def denoise(
        self,
        cond: Float[Tensor, "n e"],
        uncond: Float[Tensor, "n e"],
        noise: Float[Tensor, "n d"],
        *,
        guidance_scale: float,
        sampler: str = "ddim",
        start: Float[Tensor, "#n d"] | None = None,
        strength: float = 1.0,
        **options: Any,
    ) -> PipelineOutput:
        """From noise to images, given conditions; `start` is a scaled latent to be noised.

        Raises MnistdiffError for settings outside their range.
        """
        _check_guided(guidance_scale)
        sample = find_sampler(sampler)
        reuse_memory()
        if start is not None:
            options["timesteps"] = self._last_steps(strength, options.pop("num_inference_steps"))
            t = torch.tensor(options["timesteps"][:1]).expand(len(noise))
            noise = add_noise(start.expand_as(noise), t, noise, self.schedule.alphas_cumprod)
        latents = [
            sample(
                self.model,
                self.schedule,
                noise[part].shape,
                cond=cond[part],
                uncond=uncond[part],
                guidance_scale=guidance_scale,
                noise=noise[part],
                **options,
            )
            for part in torch.arange(len(noise)).split(CHUNK)
        ]
        z0 = torch.cat(latents)
        return PipelineOutput(self.decode(z0), z0)

    @torch.no_grad()
    def encode(self, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n d"]:
        """Scaled latents: the posterior means of images in [0, 1]."""
        check_images(images)
        return self.vae.encode(images.float())[0] * self.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n 1 28 28"]:
        """Images in [0, 1] from scaled latents."""
        return self.vae.decode(latents / self.scaling_factor)

    def _last_steps(self, strength: float, num_inference_steps: int) -> list[int]:
        if not isinstance(strength, Real) or not 0 < strength <= 1:
            raise MnistdiffError(
                f"strength is {strength!r}; it must be above 0 (the picture as it is), at most 1 "
                "(nothing of it left)."
            )
        steps = inference_timesteps(self.schedule.num_train_timesteps, num_inference_steps)
        return steps[-max(round(strength * len(steps)), 1) :]


def _steps(num_inference_steps: int, sampler: str, eta: float) -> dict[str, Any]:
    """DDPM is DDIM with eta 1; the deterministic samplers take no eta but 0."""
    if sampler == "ddpm" and eta not in (0, 1):  # 0 is what is given when nothing is
        raise MnistdiffError(f"eta is {eta}, but ddpm is DDIM with eta 1; ask for ddim instead.")
    eta = 1.0 if sampler == "ddpm" else eta
    return {"num_inference_steps": num_inference_steps, "eta": eta}


def _listed(prompts: str | Iterable[str]) -> list[str]:
    """One prompt, or several, as a list; what is no text is told of by `words_of`."""
    several = isinstance(prompts, Iterable) and not isinstance(prompts, (str, bytes))
    return list(prompts) if several else [prompts]


def _check_start(image: Tensor, n: int) -> None:
    """A picture to start from, or one for each of n digits."""
    if not isinstance(image, Tensor):
        raise MnistdiffError(
            f"image is {type(image).__name__}; expected a tensor (1, 1, 28, 28) in [0, 1]."
        )
    check_images(image)
    if len(image) not in (1, n):
        raise MnistdiffError(f"image holds {len(image)} pictures for {n} digits; give 1, or {n}.")
    low, high = float(image.min()), float(image.max())
    if not -0.01 <= low <= high <= 1.01:
        raise MnistdiffError(
            f"image has values from {low:g} to {high:g}; expected [0, 1]: divide bytes by 255, or "
            "use `to_unit` where -1 is black."
        )


def _check_counts(prompts: list[str], negatives: list[str], images: int) -> None:
    if not prompts:
        raise MnistdiffError("there is no prompt; give at least one, such as 'seven'.")
    if len(negatives) != len(prompts):
        raise MnistdiffError(
            f"there are {len(negatives)} negative prompts for {len(prompts)} prompts; give one "
            "for all, or as many."
        )
    if not isinstance(images, Integral) or images < 1:
        raise MnistdiffError(
            f"num_images_per_prompt is {images!r}; it must be a whole number >= 1."
        )


def _check_generator(generator: Any) -> None:
    """One stream of noise for all images: diffusers' list, a generator for each, is not taken."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise MnistdiffError(
            f"generator is {generator!r:.60}; it must be one generator for all images, such as "
            "`torch.Generator().manual_seed(0)`."
        )
    if generator is not None and generator.device.type != "cpu":
        raise MnistdiffError(
            f"the generator is on {generator.device}; noise comes from the CPU's, so that a seed "
            "is one picture everywhere: use `torch.Generator()`."
        )


def _check_guided(guidance_scale: float) -> None:
    if not isinstance(guidance_scale, Real) or not 0 <= guidance_scale < float("inf"):
        raise MnistdiffError(
            f"guidance_scale is {guidance_scale!r}; it must be a number >= 0, and 1 is no guidance."
        )
