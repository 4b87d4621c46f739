"""Text to image: from a prompt to a CLIP embedding, a guided latent, and a decoded digit."""

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
from mnistdiff.guidance import EVERYWHERE, check_guidance_span
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
from mnistdiff.storage import (
    PACKAGED,
    build_config,
    load_into,
    read_weights,
    save_weights,
    with_prefix,
)
from mnistdiff.vae import VAE, VAEConfig

NAME = "tiny-mnist-sd"
LORAS = PACKAGED / "loras"  # a separate folder, which ComfyUI lists
GUIDANCE_SCALE = 1.4  # chosen with the second classifier
GUIDANCE_SPAN = EVERYWHERE  # guidance acts at these timesteps of 1000
NUM_INFERENCE_STEPS = 50
CHUNK = 250  # images sampled together: larger batches do not fit the processor's cache
BETAS = "schedule.betas"  # tensor name in a file; without it the shipped schedule is used
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

    `trained_on` names the data set of the training digits. The arguments of a call are named as in
    diffusers' StableDiffusionPipeline. Raises MnistdiffError unless scaling_factor is above 0.
    """

    def __init__(
        self,
        clip: CLIP,
        eps_mlp: EpsMLPCond,
        vae: VAE,
        scaling_factor: float,
        schedule: NoiseSchedule | None = None,
        trained_on: str = "unknown",
    ) -> None:
        if not isinstance(scaling_factor, Real) or not 0 < scaling_factor < float("inf"):
            raise MnistdiffError(
                f"scaling_factor is {scaling_factor!r}; it must be a number above 0; "
                "`compute_scaling_factor` computes it."
            )
        self.clip, self.eps_mlp, self.vae = clip.eval(), eps_mlp.eval(), vae.eval()
        self.scaling_factor = float(scaling_factor)  # JSON cannot store NumPy's numbers
        self.trained_on = trained_on
        self.schedule = schedule or NoiseSchedule(cosine_beta_schedule(1000))
        self.model = as_eps(eps_mlp, self.schedule)  # the network predicts v

    @classmethod
    def from_pretrained(cls, path: str | Path = NAME) -> "TextToImagePipeline":
        """Load the shipped model by its name, or one that `save_pretrained` wrote to a folder.

        Raises MnistdiffError if the folder does not contain such a model.
        """
        shipped, own = PACKAGED / f"{NAME}-v1.safetensors", Path(path) / f"{NAME}.safetensors"
        file = shipped if path == NAME else own
        tensors, meta = read_weights(file)
        if missing := {*PARTS, "scaling_factor"} - meta.keys():
            raise MnistdiffError(
                f"{file} is not a {NAME}: its metadata lacks {', '.join(sorted(missing))}. Give "
                "a folder that `save_pretrained` or `mnistdiff train tiny-sd --out` wrote."
            )
        parts = {}
        for name, (network, config) in PARTS.items():
            parts[name] = network(build_config(config, meta[name], file))
            load_into(parts[name], with_prefix(f"{name}.", tensors), file)
        return cls(
            **parts,
            scaling_factor=meta["scaling_factor"],
            schedule=NoiseSchedule(tensors[BETAS]) if BETAS in tensors else None,
            trained_on="mnist" if file == shipped else meta.get("data", "unknown"),
        )

    def save_pretrained(self, folder: str | Path, model_card: dict[str, Any] | None = None) -> Path:
        """Write one safetensors file in half precision and return its path.

        The header holds the configurations and the entries of `model_card`. Raises MnistdiffError
        if the folder cannot be written.
        """
        path = Path(folder) / f"{NAME}.safetensors"
        save_weights(path, *self.packed(model_card))
        return path

    def packed(self, model_card: dict[str, Any] | None = None) -> tuple[dict[str, Tensor], dict]:
        """Return the tensors and the metadata that a file stores."""
        parts = {name: getattr(self, name) for name in PARTS}
        tensors = {
            f"{name}.{key}": value.half() if value.is_floating_point() else value
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        tensors[BETAS] = self.schedule.betas  # float32: the last timesteps need full precision
        configs = {name: asdict(part.config) for name, part in parts.items()}
        described = {"data": self.trained_on} | (model_card or {})
        return tensors, described | configs | {"scaling_factor": self.scaling_factor}

    def load_lora(self, name: str | Path, strength: float = 1.0) -> None:
        """Add a style to the noise predictor: a shipped LoRA by its name, or a LoRA file.

        Calling it again adds on top; a negative strength subtracts. Raises MnistdiffError if the
        name is unknown or the LoRA belongs to another network.
        """
        shipped = {path.stem.removesuffix("-v1"): path for path in sorted(LORAS.glob("*-v1.*"))}
        path = shipped.get(str(name), Path(name))
        if not path.is_file():
            raise MnistdiffError(
                f"there is no LoRA {str(name)!r}, neither as a file nor in the package. The "
                f"package has: {', '.join(shipped) or 'none'}."
            )
        merge_lora(self.eps_mlp, read_weights(path)[0], strength)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Float[Tensor, "n e"]:
        """Return normalised CLIP embeddings; prompts without a digit get the null condition.

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
        num_inference_steps: int = NUM_INFERENCE_STEPS,
        guidance_scale: float = GUIDANCE_SCALE,
        guidance_span: tuple[float, float] = GUIDANCE_SPAN,
        eta: float = 0.0,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | None = None,
        sampler: str = "ddim",
        image: Float[Tensor, "k 1 28 28"] | None = None,
        strength: float = 0.8,
        callback: Callable[[int, int, Tensor, Tensor], Any] | None = None,
    ) -> PipelineOutput:
        """Draw `num_images_per_prompt` digits for each prompt; images of one prompt are adjacent.

        The noise of all images, (N, D), is drawn first, from the CPU `generator`: adding images
        changes the earlier ones only by float rounding (below 1e-5). With eta above 0 the noise of
        each step is drawn for up to 250 images together, so another number of images gives other
        images. `guidance_span` (low, high) guides at low <= t < high only, in timesteps of 1000;
        elsewhere the prompt alone decides; (0, 1000) guides at every step (Kynkaanniemi et al.,
        2024). `image` in [0, 1], one for all or one for each, is noised by `strength` in (0, 1]
        and replaces the pure noise (Meng et al., 2022, "SDEdit"). `callback(step, t, z_t, z0_hat)`
        is called at every step of each 250 images. Raises MnistdiffError for words outside the
        vocabulary and settings outside their range.
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
            guidance_span=guidance_span,
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
        num_inference_steps: int = NUM_INFERENCE_STEPS,
        guidance_scale: float = GUIDANCE_SCALE,
        guidance_span: tuple[float, float] = GUIDANCE_SPAN,
    ) -> PipelineOutput:
        """Draw one noise under conditions that move along the sphere from `start` to `end`.

        Raises as `__call__`, and if frames is below 1.
        """
        if not isinstance(frames, Integral) or frames < 1:
            raise MnistdiffError(f"frames is {frames!r}; it must be a whole number >= 1.")
        _check_generator(generator)
        first, last = self.encode_prompts([start, end])
        cond = interpolate_noise(first, last, torch.linspace(0, 1, int(frames)))
        noise = torch.randn(1, self.vae.config.latent_dim, generator=generator)
        return self.denoise(
            cond,
            self.encode_prompts([""] * frames),
            noise.expand(frames, -1),
            guidance_scale=guidance_scale,
            guidance_span=guidance_span,
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
        guidance_span: tuple[float, float],
        sampler: str = "ddim",
        start: Float[Tensor, "#n d"] | None = None,
        strength: float = 1.0,
        **options: Any,
    ) -> PipelineOutput:
        """Turn noise into images, given conditions; `start` is a scaled latent to be noised.

        Raises MnistdiffError for settings outside their range.
        """
        _check_guidance_scale(guidance_scale)
        check_guidance_span(guidance_span)
        low, high = (edge * self.schedule.num_train_timesteps / 1000 for edge in guidance_span)
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
                guidance_span=(low, high),
                noise=noise[part],
                **options,
            )
            for part in torch.arange(len(noise)).split(CHUNK)
        ]
        z0 = torch.cat(latents)
        return PipelineOutput(self.decode(z0), z0)

    @torch.no_grad()
    def encode(self, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n d"]:
        """Return scaled latents: the posterior means of images in [0, 1]."""
        check_images(images)
        return self.vae.encode(images.float())[0] * self.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n 1 28 28"]:
        """Return images in [0, 1] from scaled latents."""
        return self.vae.decode(latents / self.scaling_factor)

    def _last_steps(self, strength: float, num_inference_steps: int) -> list[int]:
        if not isinstance(strength, Real) or not 0 < strength <= 1:
            raise MnistdiffError(
                f"strength is {strength!r}; it must be above 0 (the picture unchanged) and at "
                "most 1 (nothing of it is left)."
            )
        steps = inference_timesteps(self.schedule.num_train_timesteps, num_inference_steps)
        return steps[-max(round(strength * len(steps)), 1) :]


def _steps(num_inference_steps: int, sampler: str, eta: float) -> dict[str, Any]:
    """Return the sampler's options; ddpm is DDIM with eta 1."""
    if sampler == "ddpm" and eta not in (0, 1):  # 0 is the default: not set by the user
        raise MnistdiffError(f"eta is {eta}, but ddpm is DDIM with eta 1; use ddim instead.")
    eta = 1.0 if sampler == "ddpm" else eta
    return {"num_inference_steps": num_inference_steps, "eta": eta}


def _listed(prompts: str | Iterable[str]) -> list[str]:
    """Return one prompt or several as a list; `words_of` refuses what is not text."""
    if isinstance(prompts, (str, bytes)) or not isinstance(prompts, Iterable):
        return [prompts]
    return list(prompts)


def _check_start(image: Tensor, n: int) -> None:
    """Raise MnistdiffError unless image is one picture in [0, 1], or one for each of n digits."""
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
            "use `to_unit` for [-1, 1]."
        )


def _check_counts(prompts: list[str], negatives: list[str], images: int) -> None:
    if not prompts:
        raise MnistdiffError("there is no prompt; give at least one, such as 'seven'.")
    if len(negatives) != len(prompts):
        raise MnistdiffError(
            f"there are {len(negatives)} negative prompts for {len(prompts)} prompts; give one "
            "for all, or one for each prompt."
        )
    if not isinstance(images, Integral) or images < 1:
        raise MnistdiffError(
            f"num_images_per_prompt is {images!r}; it must be a whole number >= 1."
        )


def _check_generator(generator: Any) -> None:
    """Raise MnistdiffError unless it is one CPU generator; diffusers also accepts a list."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise MnistdiffError(
            f"generator is {generator!r:.60}; it must be one generator for all images, such as "
            "`torch.Generator().manual_seed(0)`."
        )
    if generator is not None and generator.device.type != "cpu":
        raise MnistdiffError(
            f"the generator is on {generator.device}; it must be on the CPU, so that one seed "
            "gives one picture on every machine: use `torch.Generator()`."
        )


def _check_guidance_scale(guidance_scale: float) -> None:
    if not isinstance(guidance_scale, Real) or not 0 <= guidance_scale < float("inf"):
        raise MnistdiffError(
            f"guidance_scale is {guidance_scale!r}; it must be a number >= 0; 1 means no guidance."
        )
