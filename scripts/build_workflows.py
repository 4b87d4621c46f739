"""Write the ComfyUI workflows in API and UI format, and their preview images.

python scripts/build_workflows.py [--check]
"""

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PACK = Path(__file__).parents[1] / "mnistdiff" / "comfyui"
OUTPUTS = {  # the outputs of each node
    "MnistdiffLoader": ("MODEL", "CLIP", "VAE"),
    "CheckpointLoaderSimple": ("MODEL", "CLIP", "VAE"),
    "LoraLoader": ("MODEL", "CLIP"),
    "CLIPTextEncode": ("CONDITIONING",),
    "ConditioningSetTimestepRange": ("CONDITIONING",),
    "ConditioningCombine": ("CONDITIONING",),
    "EmptyLatentImage": ("LATENT",),
    "KSampler": ("LATENT",),
    "VAEDecode": ("IMAGE",),
    "SaveImage": (),
}
TYPES = {
    "model": "MODEL",
    "clip": "CLIP",
    "vae": "VAE",
    "positive": "CONDITIONING",
    "negative": "CONDITIONING",
    "conditioning": "CONDITIONING",
    "conditioning_1": "CONDITIONING",
    "conditioning_2": "CONDITIONING",
    "latent_image": "LATENT",
    "samples": "LATENT",
    "images": "IMAGE",
}
PLACES = {  # position and size of each node; no link runs behind a node
    "MnistdiffLoader": ((40, 60), (300, 100)),
    "CheckpointLoaderSimple": ((40, 60), (300, 100)),
    "LoraLoader": ((380, 190), (300, 130)),
    "EmptyLatentImage": ((720, 600), (300, 110)),
    "KSampler": ((1060, 190), (300, 270)),
    "VAEDecode": ((1400, 60), (220, 50)),
    "SaveImage": ((1660, 60), (340, 400)),
}
SEVERAL = {  # title and position of each node of a kind, in the graph's order, and their size
    "CLIPTextEncode": (
        {"CLIP Text Encode (Positive)": (720, 280), "CLIP Text Encode (Negative)": (720, 440)},
        (300, 110),
    ),
    "ConditioningSetTimestepRange": (
        {
            "Negative, in the span": (1060, 500),
            "Positive, before the span": (1060, 650),
            "Positive, after the span": (1060, 800),
        },
        (300, 110),
    ),
    "ConditioningCombine": (
        {"Combine: in and before the span": (1400, 500), "Combine: all timesteps": (1400, 650)},
        (280, 50),
    ),
}
COLUMN = 340  # width of the LoRA's column, which other workflows omit
DRAWN = ("basic", "lora", "span")  # workflows of our model, whose preview ComfyUI shows
PAGES = {name: f"tiny_mnist_sd_{name}" for name in DRAWN}  # ComfyUI has its own "lora"
SIDE = 336  # pixels of a preview
TOLERANCE = 4  # mean grey levels by which a preview may differ between machines


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def graph(
    loader: dict[str, Any],
    positive: str,
    negative: str,
    side: int,
    sampler: dict[str, Any],
    prefix: str,
    lora: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the report's workflow 1, or with `lora` its workflow 2."""
    model, clip = (["2", 0], ["2", 1]) if lora else (["1", 0], ["1", 1])
    found = {"1": loader}
    if lora:
        found["2"] = node(
            "LoraLoader",
            model=["1", 0],
            clip=["1", 1],
            lora_name=lora,
            strength_model=1.0,
            strength_clip=1.0,
        )
    return found | {
        "3": node("CLIPTextEncode", text=positive, clip=clip),
        "4": node("CLIPTextEncode", text=negative, clip=clip),
        "5": node("EmptyLatentImage", width=side, height=side, batch_size=1),
        "6": node(
            "KSampler",
            model=model,
            **sampler,
            positive=["3", 0],
            negative=["4", 0],
            latent_image=["5", 0],
            denoise=1.0,
        ),
        "7": node("VAEDecode", samples=["6", 0], vae=["1", 2]),
        "8": node("SaveImage", images=["7", 0], filename_prefix=prefix),
    }


def with_span(api: dict[str, dict[str, Any]], low: int, high: int) -> dict[str, dict[str, Any]]:
    """Return the graph, guided at the timesteps low <= t < high only.

    Elsewhere the positive prompt is the negative one too: both predictions are the same, and the
    guided one as well. Without any negative, ComfyUI would take a prediction of zeros.
    """
    before, after = (round(1 - t / 1000, 3) for t in (high, low))  # shares of the trajectory

    def ranged(source: str, start: float, end: float) -> dict[str, Any]:
        return node("ConditioningSetTimestepRange", conditioning=[source, 0], start=start, end=end)

    def combined(*sources: str) -> dict[str, Any]:
        links = {f"conditioning_{i}": [name, 0] for i, name in enumerate(sources, start=1)}
        return node("ConditioningCombine", **links)

    added = {
        "9": ranged("4", before, after),
        "10": ranged("3", 0.0, before),
        "11": ranged("3", after, 1.0),
        "12": combined("9", "10"),
        "13": combined("12", "11"),
    }
    sampler = node("KSampler", **api["6"]["inputs"] | {"negative": ["13", 0]})
    return api | {"6": sampler} | added


def workflows() -> dict[str, dict[str, dict[str, Any]]]:
    """Return our workflows; basic and lora also for Stable Diffusion 1.5, the report's prompts."""
    ours = node("MnistdiffLoader", model_name="tiny-mnist-sd")
    theirs = node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned-emaonly.safetensors")
    quick = {"seed": 0, "steps": 50, "cfg": 3.0, "sampler_name": "ddim", "scheduler": "simple"}
    usual = quick | {"steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal"}
    failed = (
        "0,1,2,3,4,5,6,7,8,9",
        "blurry, unclear, other digits",
    )  # as in the report's Figure 10a
    return {
        "basic": graph(ours, "a handwritten seven", "", 16, quick, "digit"),
        "lora": graph(
            ours, "a handwritten seven", "", 16, quick, "digit_bold", "bold-v1.safetensors"
        ),
        "span": with_span(
            graph(ours, "a handwritten seven", "", 16, quick | {"cfg": 2.0}, "digit_span"), 300, 600
        ),
        "sd15_basic": graph(theirs, *failed, 512, usual, "sd15"),
        "sd15_lora": graph(
            theirs, "a puppy, pixel art", "blurry", 512, usual, "sd15_lora", "pixel-art.safetensors"
        ),
    }


def page(api: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the UI format of an API graph: placed nodes, ordered widgets, numbered links."""
    nodes, links = {}, []
    several = {kind: iter(places.items()) for kind, (places, _) in SEVERAL.items()}
    left = 0 if any(entry["class_type"] == "LoraLoader" for entry in api.values()) else COLUMN
    for order, (name, entry) in enumerate(api.items()):
        kind = entry["class_type"]
        if kind in several:
            text, place = next(several[kind])
            size, title = SEVERAL[kind][1], {"title": text}
        else:
            (place, size), title = PLACES[kind], {}
        outputs = [{"name": t, "type": t, "links": [], "slot_index": i}
                   for i, t in enumerate(OUTPUTS[kind])]  # fmt: skip
        nodes[name] = {
            "id": int(name),
            "type": kind,
            "pos": [place[0] - (left if place[0] > COLUMN else 0), place[1]],
            "size": list(size),
            "flags": {},
            "order": order,
            "mode": 0,
            "inputs": [],
            "outputs": outputs,
            "properties": {"Node name for S&R": kind},
            "widgets_values": widgets(entry),
        } | title
    for name, entry in api.items():
        for field, value in entry["inputs"].items():
            if isinstance(value, list):
                source, slot = value
                link = [len(links) + 1, int(source), slot, int(name),
                        len(nodes[name]["inputs"]), TYPES[field]]  # fmt: skip
                links.append(link)
                nodes[name]["inputs"].append({"name": field, "type": TYPES[field], "link": link[0]})
                nodes[source]["outputs"][slot]["links"].append(link[0])
    return {
        "last_node_id": max(int(name) for name in api),
        "last_link_id": len(links),
        "nodes": list(nodes.values()),
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def widgets(entry: dict[str, Any]) -> list[Any]:
    """Return the values that are not links; the UI format adds "fixed" after a seed."""
    values = []
    for field, value in entry["inputs"].items():
        if not isinstance(value, list):
            values += [value, "fixed"] if field == "seed" else [value]
    return values


def picture(api: dict[str, dict[str, Any]]) -> bytes:
    """Return a workflow's enlarged image as JPEG."""
    from mnistdiff.comfyui import run_workflow

    grey = (run_workflow(api)[0, 0].clamp(0, 1) * 255).round().byte().numpy()
    target = io.BytesIO()
    Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(target, "JPEG")
    return target.getvalue()


def is_current(path: Path, wanted: bytes) -> bool:
    """Return whether a file is current; images may differ slightly between machines."""
    if not path.is_file():
        return False
    if path.suffix != ".jpg":
        return path.read_bytes() == wanted
    shown, ours = (np.asarray(Image.open(file), float) for file in (path, io.BytesIO(wanted)))
    return shown.shape == ours.shape and bool(np.abs(shown - ours).mean() <= TOLERANCE)


def files() -> dict[Path, bytes]:
    """Return every file of the two folders with its content."""
    found = {}
    for name, api in workflows().items():
        shown = PACK / "example_workflows" / PAGES.get(name, name)
        for path, content in ((PACK / "workflows_api" / name, api), (shown, page(api))):
            found[path.with_suffix(".json")] = (json.dumps(content, indent=1) + "\n").encode()
        if name in DRAWN:
            found[shown.with_suffix(".jpg")] = picture(api)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="only report stale files, and fail if there are any"
    )
    check, stale = parser.parse_args().check, []
    for path, content in files().items():
        if not is_current(path, content):
            stale.append(path.name)
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
    if check and stale:
        print(f"stale: {', '.join(stale)}; run python scripts/build_workflows.py", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
