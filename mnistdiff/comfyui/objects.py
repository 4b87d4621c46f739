"""ComfyUI's MODEL, CLIP and VAE around our networks. Only ComfyUI imports this module."""
# `comfy` exists only inside ComfyUI:
# pyright: reportMissingImports=false

from typing import Any

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import torch
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.latent import EpsMLPCond, EpsMLPCondConfig
from mnistdiff.pipeline import TextToImagePipeline
from mnistdiff.prompts import words_of

SHAPE = (16, 2, 2)  # of the 64 latent numbers, as in the stock empty latent of 16x16 pixels
SIDE = 28


class TinyLatent(comfy.latent_formats.LatentFormat):
    """Latents of 16 channels; `scale_factor` is our scaling_factor."""

    latent_channels = SHAPE[0]

    def __init__(self, scaling_factor: float) -> None:
        self.scale_factor = scaling_factor


class TinyNetwork(EpsMLPCond):
    """EpsMLPCond on latents of SHAPE, with the call signature of ComfyUI's U-Nets."""

    dtype = torch.float32

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, **options: Any) -> Tensor:
        if tuple(x.shape[1:]) != SHAPE:
            height, width = x.shape[2] * 8, x.shape[3] * 8
            raise MnistdiffError(
                f"the empty latent is {width}x{height} pixels, but tiny-mnist-sd needs 16x16. Set "
                "width and height of the Empty Latent Image node to 16."
            )
        return super().forward(x.flatten(1), timesteps, context[:, 0]).reshape(x.shape)


class TinyConfig(comfy.supported_models_base.BASE):
    """The settings that ComfyUI reads from a model."""

    unet_config = {"disable_unet_model_creation": True}  # noqa: RUF012 (as ComfyUI defines it)
    supported_inference_dtypes = [torch.float32]  # noqa: RUF012
    memory_usage_factor = 0.01

    def __init__(self, scaling_factor: float) -> None:
        super().__init__(self.unet_config)
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
    abar = pipeline.schedule.alphas_cumprod.double()
    model.model_sampling.set_sigmas(((1 - abar) / abar).sqrt())
    return comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


class TinyTokenizer:
    """A tokenizer that checks the words and raises MnistdiffError for an unknown one."""

    def __init__(self, **options: Any) -> None:
        pass

    def tokenize_with_weights(self, text: str, *_: Any, **options: Any) -> dict[str, str]:
        """Return the prompt without weights such as (seven:1.2), which we do not support."""
        parts = comfy.sd1_clip.token_weights(comfy.sd1_clip.escape_important(text), 1.0)
        prompt = comfy.sd1_clip.unescape_important("".join(part for part, _ in parts))
        words_of(prompt)
        return {"prompt": prompt}

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
        return self.vae.decode(latents.flatten(1)).expand(-1, 3, -1, -1)


class TinyVAE(comfy.sd.VAE):
    """ComfyUI's VAE, set up for ours instead of detected from the names of weights."""

    def __init__(self, pipeline: TextToImagePipeline) -> None:
        manage = comfy.model_management
        self.first_stage_model = TinyAutoencoder(pipeline).eval()
        self.memory_used_encode = self.memory_used_decode = lambda shape, dtype: 2**20 * shape[0]
        self.downscale_ratio = self.upscale_ratio = SIDE // SHAPE[1]
        self.downscale_index_formula = self.upscale_index_formula = None
        self.latent_channels, self.latent_dim, self.output_channels = SHAPE[0], 2, 3
        self.process_input = self.process_output = lambda image: image
        self.working_dtypes, self.vae_dtype = [torch.float32], torch.float32
        self.disable_offload, self.not_video = False, False
        self.extra_1d_channel, self.crop_input, self.size = None, False, None
        # versions after 0.3.64 need these as well
        self.handles_tiling, self.format_encoded, self.pad_channel_value = False, None, None
        self.device, self.output_device = manage.vae_device(), manage.intermediate_device()
        self.patcher = comfy.model_patcher.ModelPatcher(
            self.first_stage_model,
            load_device=self.device,
            offload_device=manage.vae_offload_device(),
        )


def vae_object(pipeline: TextToImagePipeline) -> TinyVAE:
    """Return VAE, as VAEDecode and VAEEncode expect it."""
    return TinyVAE(pipeline)
