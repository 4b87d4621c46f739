"""ComfyUI's MODEL, CLIP and VAE around our networks. Only ComfyUI imports this module."""
# `comfy` exists only inside ComfyUI:
# pyright: reportMissingImports=false

import logging
from collections.abc import Callable
from typing import Any

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.taesd.taesd
import torch
from torch import Tensor, nn

from mnistdiff.comfyui.conditioning import NO_WEIGHTS
from mnistdiff.errors import MnistdiffError
from mnistdiff.latent import EpsMLPCond, EpsMLPCondConfig
from mnistdiff.pipeline import TextToImagePipeline
from mnistdiff.prompts import words_of

SHAPE = (16, 2, 2)  # of the 64 latent numbers, as in the stock empty latent of 16x16 pixels
SIDE = 28
NOT_A_UNET = "This node changes a U-Net, but tiny-mnist-sd is an MLP. Leave the node out."
ONE_PROMPT = "This node is for models with several texts. Use CLIP Text Encode (Prompt)."
LARGEST_SIGMA = 700.0  # changes the picture of other samplers by less than a tenth of a grey level


class TinyLatent(comfy.latent_formats.LatentFormat):
    """Latents of 16 channels; `scale_factor` is our scaling_factor."""

    latent_channels = SHAPE[0]

    def __init__(self, scaling_factor: float) -> None:
        self.scale_factor = scaling_factor


def _check_latent(latent: Tensor) -> None:
    """Raise MnistdiffError unless a latent has SHAPE."""
    if tuple(latent.shape[1:]) != SHAPE:
        raise MnistdiffError(
            f"the latent has shape {tuple(latent.shape[1:])}, but tiny-mnist-sd needs {SHAPE}. Set "
            "width and height of the Empty Latent Image node to 16, and leave out nodes that "
            "resize a latent: enlarge the decoded picture instead (Upscale Image)."
        )


class TinyNetwork(EpsMLPCond):
    """EpsMLPCond on latents of SHAPE, with the call signature of ComfyUI's U-Nets."""

    dtype = torch.float32

    def __getattr__(self, name: str) -> Any:
        """Say why a node that changes a U-Net finds no such part."""
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            raise AttributeError(f"the network has no {name}. {NOT_A_UNET}") from error

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, **options: Any) -> Tensor:
        _check_latent(x)
        return super().forward(x.flatten(1), timesteps, context[:, 0]).reshape(x.shape)


class Settings(dict):
    """A dictionary that says why it lacks what a node for other models looks up."""

    def __init__(self, reason: str, **settings: Any) -> None:
        super().__init__(settings)
        self.reason = reason

    def __missing__(self, key: str) -> Any:
        raise MnistdiffError(f"{key} is missing. {self.reason}")


class TinyConfig(comfy.supported_models_base.BASE):
    """The settings that ComfyUI reads from a model."""

    supported_inference_dtypes = [torch.float32]  # noqa: RUF012
    memory_usage_factor = 0.01

    def __init__(self, scaling_factor: float) -> None:
        super().__init__({"disable_unet_model_creation": True})
        self.unet_config = Settings(NOT_A_UNET, **self.unet_config)
        self.latent_format = TinyLatent(scaling_factor)


def model_object(pipeline: TextToImagePipeline) -> comfy.model_patcher.ModelPatcher:
    """Return MODEL: the network, which predicts v, and our schedule as ComfyUI's sigmas."""
    config = TinyConfig(pipeline.scaling_factor)
    model = comfy.model_base.BaseModel(config, comfy.model_base.ModelType.V_PREDICTION)
    shape = pipeline.eps_mlp.config
    assert isinstance(shape, EpsMLPCondConfig)
    network = TinyNetwork(shape)
    network.load_state_dict(pipeline.eps_mlp.state_dict())
    model.diffusion_model = network.eval().requires_grad_(False)
    model.model_sampling.set_sigmas(_sigmas(pipeline.schedule.alphas_cumprod.double()))
    patcher = comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    patcher.add_wrapper(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, _with_largest_seed)
    return patcher


def _with_largest_seed(sample: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """Sample as ComfyUI does, also with the largest seed.

    Newer versions take the noise of a step from seed + 1, and torch refuses 2**64. The starting
    noise has been drawn before, so the picture is still that of a seed of its own.
    """
    *others, seed = arguments
    return sample(*others, min(seed, 2**64 - 2))


def _sigmas(abar: Tensor) -> Tensor:
    """Return the schedule as ComfyUI's sigmas, the last one capped.

    The last sigma would be 20,291 and the one before it is 642. Samplers that average the slopes at
    both ends of a step, such as `heun`, lose the picture in such a step.
    """
    return ((1 - abar) / abar).sqrt().clamp(max=LARGEST_SIGMA)


class TinyTokenizer:
    """A tokenizer that checks the words and raises MnistdiffError for an unknown one."""

    def __init__(self, **options: Any) -> None:
        pass

    def tokenize_with_weights(self, text: str, *_: Any, **options: Any) -> dict[str, str]:
        """Return the prompt without weights such as (seven:1.2), with a warning about them."""
        parts = comfy.sd1_clip.token_weights(comfy.sd1_clip.escape_important(text), 1.0)
        prompt = comfy.sd1_clip.unescape_important("".join(part for part, _ in parts))
        if any(weight != 1 for _, weight in parts):
            logging.warning("%.60r: %s", text, NO_WEIGHTS)
        words_of(prompt)
        return Settings(ONE_PROMPT, prompt=prompt)

    def state_dict(self) -> dict[str, Any]:
        """Return {}: the tokenizer has no weights."""
        return {}


class TinyTextModel(nn.Module):
    """Our text encoder, with the null condition for prompts that name no digit."""

    dtypes = {torch.float32}  # noqa: RUF012

    def __init__(self, pipeline: TextToImagePipeline) -> None:
        super().__init__()
        self.text_encoder = pipeline.clip.text_encoder
        self.pipeline = [pipeline]  # in a list, so that it is not a submodule

    def encode_token_weights(self, tokens: dict[str, str]) -> tuple[Tensor, Tensor]:
        """Return the condition as one token, (1, 1, E), and as the pooled output, (1, E)."""
        cond = self.pipeline[0].encode_prompts([tokens["prompt"]])
        return cond[:, None], cond

    def set_clip_options(self, options: dict[str, Any]) -> None:
        """Do nothing: we have no options."""

    def reset_clip_options(self) -> None:
        """Do nothing: we have no options."""

    def load_sd(self, state: dict[str, Tensor]) -> Any:
        """Load weights; ComfyUI calls this method."""
        return self.load_state_dict(state, strict=False)


def clip_object(pipeline: TextToImagePipeline) -> comfy.sd.CLIP:
    """Return CLIP: tokenizer and text encoder, as CLIPTextEncode expects them."""
    target = comfy.supported_models_base.ClipTarget(
        TinyTokenizer, lambda **options: TinyTextModel(pipeline)
    )
    return comfy.sd.CLIP(target)


class TinyAutoencoder(nn.Module):
    """Our VAE between grey images with three equal channels and latents of SHAPE."""

    def __init__(self, pipeline: TextToImagePipeline) -> None:
        super().__init__()
        self.vae = pipeline.vae

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the posterior means, (B, 16, 2, 2), of images (B, 3, 28, 28) in [0, 1]."""
        if tuple(pixels.shape[2:]) != (SIDE, SIDE):
            raise MnistdiffError(
                f"the picture is {pixels.shape[3]}x{pixels.shape[2]}; tiny-mnist-sd needs 28x28. "
                "Put an Upscale Image node (28x28) before VAE Encode."
            )
        return self.vae.encode(pixels.mean(dim=1, keepdim=True))[0].unflatten(1, SHAPE)

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, 3, 28, 28) in [0, 1]."""
        _check_latent(latents)
        return self.vae.decode(latents.flatten(1)).expand(-1, 3, -1, -1)


class TinyVAE(comfy.sd.VAE):
    """ComfyUI's VAE around ours.

    ComfyUI's own `__init__` runs first, on the weights of its smallest VAE. So every attribute that
    a version of ComfyUI reads is there; ours replace only those that describe the network.
    """

    def __init__(self, pipeline: TextToImagePipeline) -> None:
        stand_in = comfy.taesd.taesd.TAESD(latent_channels=SHAPE[0])
        super().__init__(stand_in.state_dict(), dtype=torch.float32)
        self.first_stage_model = TinyAutoencoder(pipeline).eval()
        self.patcher = comfy.model_patcher.ModelPatcher(
            self.first_stage_model,
            load_device=self.patcher.load_device,
            offload_device=self.patcher.offload_device,
        )
        self.memory_used_encode = self.memory_used_decode = lambda shape, dtype: 2**20 * shape[0]
        self.downscale_ratio = self.upscale_ratio = SIDE // SHAPE[1]
        self.latent_channels = SHAPE[0]
        self.process_input = self.process_output = lambda image: image  # ours are in [0, 1] too
        self.working_dtypes = [torch.float32]
        self.crop_input = False  # a picture of another size is refused, not cropped


def vae_object(pipeline: TextToImagePipeline) -> TinyVAE:
    """Return VAE, as VAEDecode and VAEEncode expect it."""
    return TinyVAE(pipeline)
