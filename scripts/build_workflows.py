"""Write the ComfyUI workflows in API and UI format, their thumbnails, and the pack's icon.

python scripts/build_workflows.py [--check]
"""

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

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
    "ImageScale": ("IMAGE",),
    "SaveImage": (),
    "PreviewImage": (),
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
    "image": "IMAGE",
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
    "ImageScale": ((1400, 160), (220, 130)),
    "PreviewImage": ((1700, 510), (300, 400)),
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
TITLES = {"ImageScale": "Enlarge, for the eye", "PreviewImage": "Preview, enlarged"}
ENLARGED = 280  # pixels of the side of a digit in the preview
DRAWN = ("basic", "lora", "span")  # workflows of our model, which the thumbnails show
PAGES = {name: f"tiny_mnist_sd_{name}" for name in DRAWN}  # ComfyUI has its own "lora"
SIDE = 336  # pixels of a thumbnail
SHADE = {  # of the outputs' links in the thumbnail of a workflow whose pictures we cannot draw
    "MODEL": "#7790b5",
    "CLIP": "#b59b2f",
    "VAE": "#b05a5a",
    "CONDITIONING": "#c47f3d",
    "LATENT": "#a56fa5",
    "IMAGE": "#5a8fb0",
}
TOLERANCE = 4  # mean grey levels by which a thumbnail may differ between machines


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
    detailed = (
        "the numbers 0 to 9 as an image of 8*10 numbers, 8 identical numbers in each column, "
        "columns numbered in order, black background, white text",
        "vehicles, objects, animals, plants, scenery, or any other non-numerical",
    )
    # the report does not name its LoRAs: put files of your own into models/loras
    styles = {"pixel_art": "pixel-art", "detail": "add-detail", "3d": "3d-render"}
    puppies = {
        f"sd15_figure_12_{style}": graph(
            theirs, "a puppy", "", 512, usual, f"sd15_puppy_{style}", f"{file}.safetensors"
        )
        for style, file in styles.items()
    }
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
        "sd15_figure_10b": graph(theirs, *detailed, 512, usual, "sd15_digits"),
        "sd15_figure_10c": graph(
            theirs, *detailed, 512, usual, "sd15_digits_lora", "add-detail.safetensors"
        ),
        "sd15_figure_11": graph(theirs, "a puppy", "", 512, usual, "sd15_puppy"),
        **puppies,
    }


def with_preview(api: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the graph with an enlarged preview: 28 pixels are small on ComfyUI's page."""
    scale, preview = (str(max(map(int, api)) + i) for i in (1, 2))
    return api | {
        scale: node(
            "ImageScale",
            image=["7", 0],
            upscale_method="nearest-exact",
            width=ENLARGED,
            height=ENLARGED,
            crop="disabled",
        ),
        preview: node("PreviewImage", images=[scale, 0]),
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
            (place, size) = PLACES[kind]
            title = {"title": TITLES[kind]} if kind in TITLES else {}
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


def picture(api: dict[str, dict[str, Any]], file_format: str = "JPEG") -> bytes:
    """Return a workflow's enlarged image."""
    from mnistdiff.comfyui import run_workflow

    grey = (run_workflow(api)[0, 0].clamp(0, 1) * 255).round().byte().numpy()
    target = io.BytesIO()
    Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(target, file_format)
    return target.getvalue()


def sketch(shown: dict[str, Any]) -> bytes:
    """Return a small picture of a page's boxes and links as JPEG."""
    nodes = {one["id"]: one for one in shown["nodes"]}
    width, height = (
        max(one["pos"][axis] + one["size"][axis] for one in nodes.values()) + 40 for axis in (0, 1)
    )
    scale, top = 2 * SIDE / width, (2 * SIDE - height * 2 * SIDE / width) / 2
    sheet = Image.new("RGB", (2 * SIDE, 2 * SIDE), "#202020")
    pen = ImageDraw.Draw(sheet)

    def at(x: float, y: float) -> tuple[float, float]:
        return x * scale, top + y * scale

    for _, source, slot, target, into, kind in shown["links"]:
        start, end = nodes[source], nodes[target]
        start_at = at(start["pos"][0] + start["size"][0], start["pos"][1] + 14 + 20 * slot)
        pen.line([start_at, at(end["pos"][0], end["pos"][1] + 14 + 20 * into)], SHADE[kind], 3)
    for one in nodes.values():
        (x, y), (wide, high) = one["pos"], one["size"]
        pen.rectangle([at(x, y - 30), at(x + wide, y + high)], "#505050", "#909090", 2)
        pen.rectangle([at(x, y - 30), at(x + wide, y)], "#707070", "#909090", 2)
    target_file = io.BytesIO()
    sheet.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(target_file, "JPEG")
    return target_file.getvalue()


def is_current(path: Path, wanted: bytes) -> bool:
    """Return whether a file is current; images may differ slightly between machines."""
    if not path.is_file():
        return False
    if path.suffix == ".json":
        return path.read_bytes() == wanted
    shown, ours = (np.asarray(Image.open(file), float) for file in (path, io.BytesIO(wanted)))
    return shown.shape == ours.shape and bool(np.abs(shown - ours).mean() <= TOLERANCE)


def files() -> dict[Path, bytes]:
    """Return every file of the two folders with its content."""
    found = {}
    for name, api in workflows().items():
        place = PACK / "example_workflows" / PAGES.get(name, name)
        shown = page(with_preview(api) if name in DRAWN else api)
        for path, content in ((PACK / "workflows_api" / name, api), (place, shown)):
            found[path.with_suffix(".json")] = (json.dumps(content, indent=1) + "\n").encode()
        found[place.with_suffix(".jpg")] = picture(api) if name in DRAWN else sketch(shown)
    found[PACK / "icon.png"] = picture(workflows()["basic"], "PNG")
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
