"""The pack's only node, which loads tiny-mnist-sd as ComfyUI's MODEL, CLIP and VAE."""

from typing import Any, ClassVar

from mnistdiff.pipeline import LORAS, NAME, TextToImagePipeline

try:
    import folder_paths  # pyright: ignore[reportMissingImports]  # only inside ComfyUI
except ModuleNotFoundError:
    pass
else:
    folder_paths.add_model_folder_path("loras", str(LORAS))  # for the stock LoraLoader


# pairs of stock samplers and schedulers with fewer than 98 % of the digits right (20 steps, cfg 3):
# scripts/measure_comfyui_samplers.py
WEAK_SAMPLERS = {
    "karras": (
        "dpm_2_ancestral",
        "dpmpp_3m_sde",
        "dpmpp_3m_sde_gpu",
        "res_multistep_ancestral",
        "res_multistep_ancestral_cfg_pp",
    ),
    "normal": ("dpmpp_2m_cfg_pp", "dpmpp_3m_sde", "dpmpp_3m_sde_gpu"),
    "kl_optimal": ("dpmpp_3m_sde", "dpmpp_3m_sde_gpu"),
    "linear_quadratic": ("dpm_fast", "dpm_adaptive", "ipndm_v"),
}


class MnistdiffLoader:
    """The node that loads the shipped weights; all other nodes are stock nodes."""

    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    OUTPUT_TOOLTIPS: ClassVar = (
        "EpsMLPCond, which predicts the velocity of a latent given time and prompt.",
        "The text encoder of our CLIP; it knows digits and neutral words. Weights such as "
        "(seven:1.2) have no effect.",
        "The VAE: 64 latent numbers, shaped (16, 2, 2), to 28x28 pixels and back.",
    )
    FUNCTION = "load"
    CATEGORY = "mnistdiff"
    DESCRIPTION = (
        "tiny-mnist-sd: text to image of handwritten digits. Empty latents are 16x16. With the "
        "scheduler simple, 20 steps and cfg 3, every sampler draws digits. Leave out these pairs: "
        + "; ".join(f"{scheduler} with {', '.join(ss)}" for scheduler, ss in WEAK_SAMPLERS.items())
        + ". Samplers whose names end in cfg_pp do worse with more steps."
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model_name": ([NAME], {"tooltip": "Ships with mnistdiff."})}}

    def load(self, model_name: str) -> tuple[Any, Any, Any]:
        """Return ComfyUI's MODEL, CLIP and VAE, built from the pipeline."""
        from mnistdiff.comfyui.objects import clip_object, model_object, vae_object

        pipeline = TextToImagePipeline.from_pretrained(model_name)
        return model_object(pipeline), clip_object(pipeline), vae_object(pipeline)


NODE_CLASS_MAPPINGS = {"MnistdiffLoader": MnistdiffLoader}
NODE_DISPLAY_NAME_MAPPINGS = {"MnistdiffLoader": "Load tiny-mnist-sd"}
