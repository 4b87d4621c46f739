"""Text to image: from a prompt to a CLIP embedding, a guided latent, and a decoded digit."""

from collections.abc import Iterable, Mapping, Sequence
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
from mnistdiff.layers import check_images, check_latents
from mnistdiff.lora import merge_lora
from mnistdiff.pictures import convert_images
from mnistdiff.prompts import digit_in
from mnistdiff.runtime import reuse_memory
from mnistdiff.samplers import (
    SAMPLERS,
    Callback,
    Generators,
    as_eps,
    draw_noise,
    find_sampler,
    inference_timesteps,
    interpolate_noise,
)
from mnistdiff.samplers.registry import Sampler
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
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
CHUNK = 250  # images sampled together: larger batches do not fit the processor's cache
FACTOR = "scaling_factor"  # metadata of a file
BETAS = "schedule.betas"  # tensor name in a file; without it the shipped schedule is used
PARTS = {
    "clip": (CLIP, CLIPConfig),
    "eps_mlp": (EpsMLPCond, EpsMLPCondConfig),
    "vae": (VAE, VAEConfig),
}
# options of diffusers that do nothing here, and what to do instead
_ONE_SIZE = "every picture has 28x28 pixels; leave it out"
_NO_STEP_END = "use callback=f, which gets (step, t, z_t, z0_hat) before each step"
_EMBEDDINGS = "call `denoise(cond, uncond, noise, ...)` with embeddings of `encode_prompts`"
_NO_PART = "the model has no such part; leave it out"
CALL_OPTIONS = {
    "height": _ONE_SIZE,
    "width": _ONE_SIZE,
    "callback_on_step_end": _NO_STEP_END,
    "callback_on_step_end_tensor_inputs": _NO_STEP_END,
    "callback_steps": _NO_STEP_END,
    "prompt_embeds": _EMBEDDINGS,
    "negative_prompt_embeds": _EMBEDDINGS,
    "timesteps": "set num_inference_steps, or call `mnistdiff.samplers.sample_ddim`",
    "sigmas": "set num_inference_steps, or call `mnistdiff.samplers.sample_ddim`",
    "scheduler": "give sampler, the name of a sampler or a function",
    "guidance_rescale": "set guidance_scale and guidance_span",
    "clip_skip": _NO_PART,
    "cross_attention_kwargs": _NO_PART,
    "ip_adapter_image": _NO_PART,
    "ip_adapter_image_embeds": _NO_PART,
}
_NO_SCHEDULER = (
    "this pipeline has no scheduler object: set `pipeline.sampler` to one of "
    f"{', '.join(SAMPLERS)}, or to a function; `pipeline.schedule` holds the betas."
)
LOAD_OPTIONS = {
    "dtype": "call `.to(dtype)` on the pipeline",
    "use_safetensors": "weights are always safetensors",
    "torch_dtype": "call `.to(dtype)` on the pipeline",
    "device_map": "call `.to(device)` on the pipeline",
    "scheduler": "set `pipeline.sampler`",
    "variant": "there is one file of weights",
    "safety_checker": _NO_PART,
}
LORA_OPTIONS = {
    "weight_name": "give the path of the file itself",
    "subfolder": "give the path of the file itself",
    "adapter_name": "a LoRA is added to the weights at once; `unload_lora_weights` removes all",
    "lora_scale": "the option is called strength",
    "hotswap": "call `unload_lora_weights` first",
}


class PipelineOutput(NamedTuple):
    """Images and the latents (N, D) that they were decoded from.

    The images are (N, 1, 28, 28) in [0, 1], or what `output_type` asked for.
    """

    images: Any
    latents: Float[Tensor, "n d"]


class TextToImagePipeline:
    """`tiny-mnist-sd`: CLIP, the conditioned noise predictor and the VAE, as one function.

    `trained_on` names the data set of the training digits; `model_card` says how the networks were
    trained. The arguments of a call are named as in
    diffusers' StableDiffusionPipeline; a table in the book says what of it works here. `sampler`
    is the one that calls use when they name none. Raises MnistdiffError unless scaling_factor is
    above 0.
    """

    sampler: str | Sampler = "ddim"

    def __init__(
        self,
        clip: CLIP,
        eps_mlp: EpsMLPCond,
        vae: VAE,
        scaling_factor: float,
        schedule: NoiseSchedule | None = None,
        trained_on: str = "unknown",
        model_card: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(scaling_factor, Real) or not 0 < scaling_factor < float("inf"):
            raise MnistdiffError(
                f"scaling_factor is {scaling_factor!r}; it must be a number above 0; "
                "`compute_scaling_factor` computes it."
            )
        self.clip, self.eps_mlp, self.vae = clip.eval(), eps_mlp.eval(), vae.eval()
        self.scaling_factor = float(scaling_factor)  # JSON cannot store NumPy's numbers
        self.trained_on, self.model_card = trained_on, dict(model_card or {})
        self.schedule = schedule or NoiseSchedule(cosine_beta_schedule(1000))
        self.model = as_eps(eps_mlp, self.schedule)  # the network predicts v
        self._without_lora: dict[str, Tensor] | None = None

    @classmethod
    def from_pretrained(cls, path: str | Path = NAME, **unsupported: Any) -> "TextToImagePipeline":
        """Load the shipped model by its name, or one that `save_pretrained` wrote to a folder.

        Raises MnistdiffError if the folder does not contain such a model, and for options of
        diffusers that do not work here.
        """
        _refuse(unsupported, LOAD_OPTIONS)
        shipped, own = PACKAGED / f"{NAME}-v1.safetensors", Path(path) / f"{NAME}.safetensors"
        file = shipped if path == NAME else own
        tensors, meta = read_weights(file)
        if missing := {*PARTS, FACTOR} - meta.keys():
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
            scaling_factor=meta[FACTOR],
            schedule=NoiseSchedule(tensors[BETAS]) if BETAS in tensors else None,
            trained_on="mnist" if file == shipped else meta.get("data", "unknown"),
            model_card={key: value for key, value in meta.items() if key not in (*PARTS, FACTOR)},
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
        described = self.model_card | {"data": self.trained_on} | (model_card or {})
        return tensors, described | configs | {FACTOR: self.scaling_factor}

    def to(self, *args: Any, **kwargs: Any) -> "TextToImagePipeline":
        """Move all networks to a device, a floating-point type, or both, as `nn.Module.to` does.

        Noise still comes from the CPU: one seed stays one picture, up to rounding. Raises
        MnistdiffError, and moves nothing, if the device is missing or the type is not
        floating-point.
        """
        try:
            moved = torch.zeros(1).to(*args, **kwargs).dtype
            if moved not in DTYPES:
                raise TypeError(f"the networks do not work in {moved}")
        except (AssertionError, RuntimeError, TypeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise MnistdiffError(
                f"the pipeline cannot be moved: {reason}. Give a device that torch finds here, a "
                "floating-point type, or both."
            ) from error
        for name in PARTS:
            getattr(self, name).to(*args, **kwargs)
        return self

    @property
    def scheduler(self) -> None:
        """Refuse diffusers' scheduler objects, which would be set and never used."""
        raise AttributeError(_NO_SCHEDULER)

    @scheduler.setter
    def scheduler(self, scheduler: Any) -> None:
        raise MnistdiffError(_NO_SCHEDULER)

    @property
    def device(self) -> torch.device:
        """Return the device of the networks."""
        return self.eps_mlp.null_cond.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the floating-point type of the networks."""
        return self.eps_mlp.null_cond.dtype

    def load_lora_weights(
        self,
        lora: str | Path | Mapping[str, Tensor],
        strength: float = 1.0,
        **unsupported: Any,
    ) -> None:
        """Add a style to the noise predictor: a shipped LoRA by its name, a LoRA file, or tensors.

        Calling it again adds on top; a negative strength subtracts. Raises MnistdiffError if the
        name is unknown or the LoRA belongs to another network.
        """
        _refuse(unsupported, LORA_OPTIONS)
        tensors = lora if isinstance(lora, Mapping) else read_weights(find_lora(lora))[0]
        before = {name: value.clone() for name, value in self.eps_mlp.state_dict().items()}
        merge_lora(self.eps_mlp, tensors, strength)
        self._without_lora = self._without_lora or before

    def unload_lora_weights(self) -> None:
        """Restore the noise predictor as it was before the first LoRA.

        Raises MnistdiffError if it has other layers now.
        """
        if self._without_lora is None:
            return
        if self._without_lora.keys() != self.eps_mlp.state_dict().keys():
            raise MnistdiffError(
                "the noise predictor has got other layers since the first LoRA, such as adapters "
                "of `inject_lora`; load the pipeline again with `from_pretrained`."
            )
        self.eps_mlp.load_state_dict(self._without_lora)
        self._without_lora = None

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
        generator: Generators = None,
        latents: Float[Tensor, "n d"] | None = None,
        sampler: str | Sampler | None = None,
        image: Float[Tensor, "k 1 28 28"] | None = None,
        strength: float = 0.8,
        callback: Callback | None = None,
        output_type: str = "pt",
        return_dict: bool = True,
        **unsupported: Any,
    ) -> PipelineOutput:
        """Draw `num_images_per_prompt` digits for each prompt; images of one prompt are adjacent.

        The noise of all images, (N, D), is drawn first, from the CPU `generator`: adding images
        changes the earlier ones only by float rounding (below 1e-5). With eta above 0 the noise of
        each step is drawn for up to 250 images together, so another number of images gives other
        images. With a list of generators, one for each image, an image depends on its own alone.
        `latents` (N, D) replaces the drawn noise. `sampler` is a name of SAMPLERS, or a function
        that is called as `sample_ddim` is.

        `guidance_span` (low, high) guides at low <= t < high only, in timesteps of 1000; elsewhere
        the prompt alone decides; (0, 1000) guides at every step (Kynkaanniemi et al., 2024).
        `image` in [0, 1], one for all or one for each, is noised by `strength` in (0, 1] and
        replaces the pure noise (Meng et al., 2022, "SDEdit"). `callback(step, t, z_t, z0_hat)` is
        called at every step of each 250 images. `output_type` is that of `convert_images`;
        `return_dict` is diffusers' and changes nothing: the output is a named tuple. Raises
        MnistdiffError for words outside the vocabulary, settings outside their range, and options
        of diffusers that do not work here.
        """
        _refuse(unsupported, CALL_OPTIONS)
        prompts = _listed(prompt)
        negatives = _listed("" if negative_prompt is None else negative_prompt)
        if len(negatives) == 1:
            negatives *= len(prompts)
        _check_counts(prompts, negatives, num_images_per_prompt)
        each = int(num_images_per_prompt)
        _check_generator(generator, len(prompts) * each)
        sampler = self.sampler if sampler is None else sampler
        options = _steps(num_inference_steps, sampler, eta)
        convert_images(torch.zeros(0, 1, 28, 28), output_type)  # refuse it before the work
        cond = self.encode_prompts(prompts).repeat_interleave(each, dim=0)
        uncond = self.encode_prompts(negatives).repeat_interleave(each, dim=0)
        shape = (len(cond), self.vae.config.latent_dim)
        if latents is not None:
            _check_noise(latents, shape)
        if image is not None:
            _check_start(image, len(cond))
            options |= {"start": self.encode(image), "strength": strength}
        drawn = self.denoise(
            cond,
            uncond,
            draw_noise(shape, generator) if latents is None else latents,
            guidance_scale=guidance_scale,
            guidance_span=guidance_span,
            sampler=sampler,
            generator=generator,
            callback=callback,
            **options,
        )
        return drawn._replace(images=convert_images(drawn.images, output_type))

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
        _check_generator(generator, 1)
        first, last = self.encode_prompts([start, end])
        weights = torch.linspace(0, 1, int(frames)).to(first)
        cond = interpolate_noise(first, last, weights)
        noise = draw_noise((1, self.vae.config.latent_dim), generator)
        return self.denoise(
            cond,
            self.encode_prompts([""] * frames),
            noise.expand(frames, -1),
            guidance_scale=guidance_scale,
            guidance_span=guidance_span,
            sampler=self.sampler,
            generator=generator,
            **_steps(num_inference_steps, self.sampler, eta=0.0),
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
        sampler: str | Sampler = "ddim",
        generator: Generators = None,
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
            start = start.expand(len(noise), -1).to(noise)
            noise = add_noise(start, t, noise, self.schedule.alphas_cumprod)
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
                generator=_of_rows(generator, part),
                **options,
            )
            for part in (slice(i, i + CHUNK) for i in range(0, len(noise), CHUNK))
        ]
        z0 = torch.cat(latents)
        return PipelineOutput(self.decode(z0), z0)

    @torch.no_grad()
    def encode(self, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n d"]:
        """Return scaled latents: the posterior means of images in [0, 1]."""
        check_images(images)
        return self.vae.encode(images.to(self.device))[0] * self.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n 1 28 28"]:
        """Return images in [0, 1] from scaled latents."""
        return self.vae.decode(latents.to(self.device) / self.scaling_factor)

    def _last_steps(self, strength: float, num_inference_steps: int) -> list[int]:
        if not isinstance(strength, Real) or not 0 < strength <= 1:
            raise MnistdiffError(
                f"strength is {strength!r}; it must be above 0 (the picture unchanged) and at "
                "most 1 (nothing of it is left)."
            )
        steps = inference_timesteps(self.schedule.num_train_timesteps, num_inference_steps)
        return steps[-max(round(strength * len(steps)), 1) :]


def _steps(num_inference_steps: int, sampler: str | Sampler, eta: float) -> dict[str, Any]:
    """Return the sampler's options; ddpm is DDIM with eta 1."""
    ddpm = find_sampler(sampler) is SAMPLERS["ddpm"]
    if ddpm and eta not in (0, 1):  # 0 is the default: not set by the user
        raise MnistdiffError(f"eta is {eta}, but ddpm is DDIM with eta 1; use ddim instead.")
    return {"num_inference_steps": num_inference_steps, "eta": 1.0 if ddpm else eta}


def _of_rows(generator: Generators, rows: slice) -> Generators:
    """Return the generators of some images: of a list its part, otherwise the one for all."""
    return generator[rows] if isinstance(generator, Sequence) else generator


def shipped_loras() -> dict[str, Path]:
    """Return the file of each LoRA in the package, by its name."""
    return {path.stem.removesuffix("-v1"): path for path in sorted(LORAS.glob("*-v1.*"))}


def find_lora(name: str | Path) -> Path:
    """Return the file of a LoRA. Raises MnistdiffError if neither package nor disk has it."""
    shipped = shipped_loras()
    path = shipped.get(str(name), Path(name))
    if not path.is_file():
        raise MnistdiffError(
            f"there is no LoRA {str(name)!r}, neither as a file nor in the package. The package "
            f"has: {', '.join(shipped) or 'none'}."
        )
    return path


def _refuse(unsupported: Mapping[str, Any], known: Mapping[str, str]) -> None:
    """Raise MnistdiffError for an option that does nothing here; `known` says what to do instead.

    An option that is None is off in diffusers, too.
    """
    for name, value in unsupported.items():
        if name not in known:
            raise TypeError(f"there is no option {name!r}; `help(...)` lists those there are.")
        if value is not None:
            raise MnistdiffError(f"{name} is an option of diffusers, but not here: {known[name]}.")


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


def _check_generator(generator: Any, images: int) -> None:
    """Raise MnistdiffError unless it is one CPU generator, or a list with one for each image."""
    generators = generator if isinstance(generator, (list, tuple)) else [generator]
    if generator is not None and not all(isinstance(g, torch.Generator) for g in generators):
        raise MnistdiffError(
            f"generator is {generator!r:.60}; it must be one generator for all images, such as "
            "`torch.Generator().manual_seed(0)`, or a list with one for each image."
        )
    if isinstance(generator, (list, tuple)) and len(generator) != images:
        raise MnistdiffError(
            f"there are {len(generator)} generators for {images} images; give one for all, or one "
            "for each image."
        )
    for each in generators:
        if each is not None and each.device.type != "cpu":
            raise MnistdiffError(
                f"the generator is on {each.device}; it must be on the CPU, so that one seed "
                "gives one picture on every machine: use `torch.Generator()`."
            )


def _check_noise(latents: Any, shape: tuple[int, int]) -> None:
    """Raise MnistdiffError unless latents are finite noise of this shape."""
    check_latents(latents, shape[1])
    if tuple(latents.shape) != shape:
        raise MnistdiffError(
            f"latents have shape {tuple(latents.shape)}; expected {shape}, one row for each image."
        )
    if not torch.isfinite(latents).all():
        raise MnistdiffError("latents hold NaN or infinity; give noise with variance 1.")


def _check_guidance_scale(guidance_scale: float) -> None:
    if not isinstance(guidance_scale, Real) or not 0 <= guidance_scale < float("inf"):
        raise MnistdiffError(
            f"guidance_scale is {guidance_scale!r}; it must be a number >= 0; 1 means no guidance."
        )
