"""The node pack and its executor; with COMFYUI_PATH set, beside the real ComfyUI."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from PIL import Image

from mnistdiff.cli import main
from mnistdiff.comfyui import load_workflow, run_workflow
from mnistdiff.comfyui.files import OURS, read_workflow
from mnistdiff.comfyui.graph import lora_names
from mnistdiff.comfyui.install import NAME, install
from mnistdiff.comfyui.nodes import WEAK_SAMPLERS, MnistdiffLoader
from mnistdiff.comfyui.server import widget_names
from mnistdiff.comfyui.workflow import _timesteps
from mnistdiff.errors import MnistdiffError
from mnistdiff.experiments.styles import stroke_width
from mnistdiff.metrics import label_accuracy, read_digits
from mnistdiff.pipeline import TextToImagePipeline
from mnistdiff.samplers import sample_ddim

ROOT = Path(__file__).parents[2]
STEP = 1.0 / 255  # ComfyUI cuts, we round: a saved picture may differ by one grey level
PORT = 8_397


def changed(graph, node, **inputs):
    graph = deepcopy(graph)
    graph[node]["inputs"].update(inputs)
    return graph


@pytest.fixture
def basic():
    return load_workflow("basic")


def test_the_basic_workflow_is_the_pipeline(basic):
    expected = TextToImagePipeline.from_pretrained()(
        "a handwritten seven",
        num_inference_steps=50,
        guidance_scale=3.0,
        guidance_span=(0, 1000),
        generator=torch.Generator().manual_seed(0),
    ).images
    assert torch.equal(run_workflow(basic), expected)


def test_the_span_workflow_is_the_pipeline_with_a_span():
    pipeline = TextToImagePipeline.from_pretrained()
    spans = [(300, 600), (0, 1000)]
    expected, everywhere = (
        pipeline(
            "a handwritten seven",
            guidance_scale=2.0,
            guidance_span=span,
            generator=torch.Generator().manual_seed(0),
        ).images
        for span in spans
    )
    drawn = run_workflow("span")
    assert torch.equal(drawn, expected)
    assert not torch.equal(drawn, everywhere)


def span_workflow(low, high):
    """The graph of the workflow "span" for other timesteps, and with a cfg that is seen."""
    graph, before, after = load_workflow("span"), 1 - high / 1000, 1 - low / 1000
    for node, (start, end) in {"9": (before, after), "10": (0, before), "11": (after, 1)}.items():
        graph = changed(graph, node, start=start, end=end)
    return changed(graph, "6", cfg=4.0)


@pytest.mark.parametrize("span", [(0, 1000), (200, 500), (199, 200), (0, 1), (999, 1000)])
@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
def test_any_span_is_exact_to_the_timestep(span, sampler):
    graph = changed(span_workflow(*span), "6", sampler_name=sampler, steps=200)
    expected = TextToImagePipeline.from_pretrained()(
        "a handwritten seven",
        num_inference_steps=200,
        guidance_scale=4.0,
        guidance_span=span,
        generator=torch.Generator().manual_seed(0),
        sampler=sampler,
    ).images
    assert torch.equal(run_workflow(graph), expected)


@pytest.mark.parametrize(
    ("node", "inputs", "words"),
    [
        ("10", {"end": 0.2}, "input negative: 0 conditionings act at timestep 79"),
        ("10", {"end": 0.7}, "input negative: 2 conditionings act at timestep 49"),
        ("9", {"start": 1.5}, r"node 9 .*input start: 1.5 must be a number from 0 to 1"),
        ("12", {"conditioning_1": ["1", 0]}, "needs CONDITIONING, but output 0 of node 1"),
    ],
)
def test_ranges_that_leave_a_gap_or_overlap_are_told(node, inputs, words):
    with pytest.raises(MnistdiffError, match=words):
        run_workflow(changed(span_workflow(200, 500), node, **inputs))


def test_it_is_the_command_lines_picture_too(basic, tmp_path):
    run_workflow(basic, output=tmp_path)
    arguments = ["a handwritten seven", "--guidance", "3", "--seed", "0"]
    arguments += ["--guidance-span", "0", "1000"]
    assert main(["sample", *arguments, "-o", str(tmp_path / "cli.png")]) == 0
    pictures = [Image.open(tmp_path / name) for name in ("digit_00001_.png", "cli.png")]
    assert pictures[0].tobytes() == pictures[1].tobytes()


def test_lora_at_strength_0_changes_nothing_and_at_1_has_the_style(basic):
    lora = load_workflow("lora")
    plain = run_workflow(basic)
    off = changed(lora, "2", strength_model=0.0, strength_clip=0.0)
    assert torch.equal(run_workflow(off), plain)
    many = [changed(g, "5", batch_size=20) for g in (basic, lora)]
    widths = [float(stroke_width(run_workflow(g)).mean()) for g in many]
    assert widths[1] > 1.1 * widths[0]


def test_image_to_image_through_the_graph(basic, tmp_path):
    run_workflow(basic, output=tmp_path)
    graph = deepcopy(basic)
    picture = str(tmp_path / "digit_00001_.png")
    graph["9"] = {"class_type": "LoadImage", "inputs": {"image": picture}}
    graph["5"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["9", 0], "vae": ["1", 2]}}
    graph = changed(graph, "6", denoise=0.2, cfg=1.0)
    before, after = run_workflow(basic), run_workflow(graph)
    assert (before - after).abs().mean() < 0.1


@pytest.mark.parametrize("size", [(64, 64), (28, 27)])
def test_a_picture_of_another_size_is_told_with_a_remedy(basic, tmp_path, size):
    Image.new("L", size).save(tmp_path / "other.png")
    graph = deepcopy(basic)
    picture = {"image": str(tmp_path / "other.png")}
    graph["9"] = {"class_type": "LoadImage", "inputs": picture}
    graph["5"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["9", 0], "vae": ["1", 2]}}
    words = rf"node 5 .*the picture is {size[0]}x{size[1]}; tiny-mnist-sd needs 28x28.*ImageScale"
    with pytest.raises(MnistdiffError, match=words):
        run_workflow(graph)
    scale = {"image": ["9", 0], "upscale_method": "area", "width": 28, "height": 28}
    graph["10"] = {"class_type": "ImageScale", "inputs": scale | {"crop": "disabled"}}
    assert run_workflow(changed(graph, "5", pixels=["10", 0])).shape == (1, 1, 28, 28)


@pytest.mark.parametrize("inputs", [{"denoise": 0.5}, {"scheduler": "ddim_uniform", "steps": 5}])
def test_a_start_below_the_last_timestep_has_noise_of_its_size(basic, inputs):
    """ComfyUI scales the noise by sigma there, also on an empty latent; we drew with all of it."""
    pipeline, steps = TextToImagePipeline.from_pretrained(), inputs.get("steps", 50)
    timesteps = _timesteps("simple", 50, 0.5) if steps == 50 else [801, 601, 401, 201, 1]
    abar = pipeline.schedule.alphas_cumprod[timesteps[0]]
    noise = torch.randn(1, 64, generator=torch.Generator().manual_seed(0)) * (1 - abar).sqrt()
    expected = sample_ddim(
        pipeline.model,
        pipeline.schedule,
        noise.shape,
        cond=pipeline.encode_prompts(["a handwritten seven"]),
        uncond=pipeline.encode_prompts([""]),
        guidance_scale=3.0,
        timesteps=timesteps,
        noise=noise,
    )
    found = run_workflow(changed(basic, "6", **inputs))
    torch.testing.assert_close(found, pipeline.decode(expected))


def test_what_comfyui_passes_over_is_passed_over(basic):
    plain = run_workflow(basic)
    assert torch.equal(run_workflow(changed(basic, "6", from_a_newer_version=3)), plain)


def test_weights_of_a_prompt_change_nothing_with_a_warning(basic, recwarn):
    plain = run_workflow(changed(basic, "3", text=r"a \(handwritten\) seven"))
    assert not recwarn
    for text in ("a (handwritten:+.5) ((seven: 1e0):1.2)", "a handwritten (seven)"):
        with pytest.warns(UserWarning, match=r"weights, such as \(seven:1.2\), have no effect"):
            weighted = run_workflow(changed(basic, "3", text=text))
        assert torch.equal(weighted, plain)


def test_pictures_stay_in_their_folder(basic, tmp_path):
    run_workflow(changed(basic, "8", filename_prefix="day/one"), output=tmp_path / "out")
    assert (tmp_path / "out" / "day" / "one_00001_.png").is_file()
    for prefix in ("../x", "/x", "a\0b", "a\nb"):
        with pytest.raises(MnistdiffError, match=r"node 8 \(SaveImage\): input filename_prefix"):
            run_workflow(changed(basic, "8", filename_prefix=prefix), output=tmp_path / "out")


@pytest.mark.parametrize("prefix", ["digit", "a[b]*", "day/"])
def test_saving_never_replaces_a_picture(basic, tmp_path, prefix):
    graph = changed(basic, "8", filename_prefix=prefix)
    graph = changed(graph, "6", steps=1)
    for _ in range(2):
        run_workflow(graph, output=tmp_path)
    (tmp_path / f"{prefix}_00001_.png").unlink()
    run_workflow(graph, output=tmp_path)
    names = {path.name[-10:-5] for path in tmp_path.rglob("*.png")}
    assert names == {"00002", "00003"}


@pytest.mark.parametrize(
    ("node", "inputs", "words"),
    [
        ("6", {"steps": 0}, r"node 6 \(KSampler\), input steps: 0"),
        ("6", {"steps": 2.5}, "input steps: 2.5"),
        ("6", {"cfg": "high"}, "input cfg: 'high'"),
        ("6", {"sampler_name": "magic"}, "'magic' is not one of ddim"),
        ("6", {"model": ["3", 0]}, "needs MODEL, but output 0 of node 3"),
        ("6", {"model": ["77", 0]}, "linked to node 77, which does not exist"),
        ("6", {"model": ["1", 5]}, "has no output 5"),
        ("6", {"latent_image": ["6", 0]}, "form a cycle"),
        ("3", {"text": "a cat"}, r"node 3 \(CLIPTextEncode\): .*'cat'"),
        ("5", {"width": 512}, r"node 5 \(EmptyLatentImage\): .*512x16"),
        ("8", {"images": 3}, "needs a link to IMAGE"),
        ("6", {"model": [1, 0]}, r"linked to node 1, .*a node's number must be a string"),
        ("6", {"spare": ["77", 0]}, "input spare: it is linked to node 77, which does not exist"),
        ("6", {"seed": 2**64}, "a whole number from 0 to 18446744073709551615"),
        ("6", {"denoise": 0.01}, "50 steps at denoise 0.01 need 5000 timesteps; there are 1000"),
    ],
)
def test_a_bad_graph_is_told_by_node_and_input(basic, node, inputs, words):
    with pytest.raises(MnistdiffError, match=words):
        run_workflow(changed(basic, node, **inputs))


def test_missing_parts_are_told(basic):
    without = deepcopy(basic)
    del without["6"]["inputs"]["steps"]
    with pytest.raises(MnistdiffError, match="input steps: it is missing"):
        run_workflow(without)
    with pytest.raises(MnistdiffError, match="add SaveImage"):
        run_workflow({k: v for k, v in basic.items() if k != "8"})
    unknown = deepcopy(basic)
    unknown["7"]["class_type"] = "Upscale"
    with pytest.raises(MnistdiffError, match=r"node 7 \(Upscale\): there is no such node"):
        run_workflow(unknown)
    for no_graph, words in (
        ([], "not an API-format graph"),
        ({"1": []}, "not an API-format graph"),
        (
            {1: {"class_type": "KSampler", "inputs": {}}},
            "node 1: the id of a node must be a string",
        ),
        ({"1": {"class_type": ["KSampler"], "inputs": {}}}, "node 1: it has no class_type"),
        ({"1": {"inputs": {}}}, "node 1: it has no class_type"),
        ({"prompt": {"1": {"inputs": {}}}}, "node 1: it has no class_type"),
        ({"1": {"class_type": "KSampler"}}, r"node 1 \(KSampler\): it has no inputs"),
    ):
        with pytest.raises(MnistdiffError, match=words):
            run_workflow(no_graph)
    for server in ("127.0.0.1:9", "a b", "http://[::1"):
        with pytest.raises(MnistdiffError, match="no ComfyUI answers at http"):
            run_workflow(basic, server=server)


def test_pages_and_api_graphs_are_built_from_one_description():
    done = subprocess.run([sys.executable, ROOT / "scripts" / "build_workflows.py", "--check"])
    assert done.returncode == 0


def test_every_link_of_a_page_has_two_ends():
    for path in (ROOT / "mnistdiff" / "comfyui" / "example_workflows").glob("*.json"):
        page = json.loads(path.read_text())
        nodes = {node["id"]: node for node in page["nodes"]}
        for link, source, out, target, into, kind in page["links"]:
            assert link in nodes[source]["outputs"][out]["links"]
            assert nodes[target]["inputs"][into]["link"] == link
            assert nodes[source]["outputs"][out]["type"] == kind


def test_the_pages_are_laid_out_readably():
    for path in (ROOT / "mnistdiff" / "comfyui" / "example_workflows").glob("*.json"):
        nodes = json.loads(path.read_text())["nodes"]
        titles = [node.get("title", node["type"]) for node in nodes]
        assert len(set(titles)) == len(titles), path.name
        boxes = [(*node["pos"], *node["size"]) for node in nodes]
        for i, (x, y, width, height) in enumerate(boxes):
            for x2, y2, width2, height2 in boxes[:i]:  # 40 pixels are a title's
                beside = x >= x2 + width2 or x2 >= x + width
                below = y - 40 >= y2 + height2 or y2 - 40 >= y + height
                assert beside or below, f"{path.name}: {titles[i]}"


def test_what_a_sampler_draws_badly_is_named_by_the_loader():
    """A pair of sampler and scheduler with fewer than 98 % right in the results is named."""
    found = json.loads((ROOT / "book" / "results" / "comfyui_samplers.json").read_text())
    help_page = (OURS.parent / "web" / "docs" / "MnistdiffLoader.md").read_text()
    for sampler, by_scheduler in found["right"]["20 steps, cfg 3"].items():
        for scheduler, right in by_scheduler.items():
            weak = sampler in WEAK_SAMPLERS.get(scheduler, ())
            assert weak == (right < 0.98 * found["n"]), f"{sampler}, {scheduler}: {right}"
    assert "simple" not in WEAK_SAMPLERS
    for scheduler, samplers in WEAK_SAMPLERS.items():
        assert f"{scheduler} with {', '.join(samplers)}" in MnistdiffLoader.DESCRIPTION
        assert f"| `{scheduler}` | {', '.join(f'`{name}`' for name in samplers)} |" in help_page


@pytest.fixture(scope="module")
def server():
    """A real ComfyUI on the CPU, with the pack linked in."""
    folder = os.environ.get("COMFYUI_PATH")
    if not folder:
        pytest.skip("COMFYUI_PATH is not set: no real ComfyUI to compare with")
    install(Path(folder))
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    command = [python, "main.py", "--cpu", "--port", str(PORT), "--disable-auto-launch"]
    log = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{PORT}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/object_info/MnistdiffLoader", timeout=5)
                break
            except OSError:
                assert log.poll() is None, log.stdout.read().decode()[-2000:]
                time.sleep(1)
        yield address
    finally:
        log.terminate()
        said = log.communicate()[0].decode()
        bad = re.compile(r"warn|error|failed|not loaded", re.IGNORECASE)
        loading = said.split("Starting server")[0]
        assert not [line for line in loading.split("\n") if "mnist" in line and bad.search(line)]
        assert "lora key not loaded" not in said


class TestRealComfyUI:
    def test_it_lists_the_node_and_the_loras(self, server):
        with urllib.request.urlopen(f"{server}/object_info") as answer:
            found = json.loads(answer.read())
        assert found["MnistdiffLoader"]["output"] == ["MODEL", "CLIP", "VAE"]
        listed = found["LoraLoader"]["input"]["required"]["lora_name"][0]
        assert set(lora_names()) <= set(listed)

    def test_sd15_workflows_name_only_stock_nodes_and_inputs(self, server):
        with urllib.request.urlopen(f"{server}/object_info") as answer:
            found = json.loads(answer.read())
        for path in OURS.glob("sd15_*.json"):
            for node in load_workflow(path).values():
                required = found[node["class_type"]]["input"]["required"]
                assert set(node["inputs"]) == set(required), node["class_type"]

    @pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m"])
    @pytest.mark.parametrize("scheduler", ["simple", "ddim_uniform"])
    @pytest.mark.parametrize("changes", [{}, {"steps": 5, "cfg": 1.0}, {"denoise": 0.5}])
    def test_one_seed_one_picture(self, server, basic, sampler, scheduler, changes):
        graph = changed(basic, "6", sampler_name=sampler, scheduler=scheduler, **changes)
        theirs, ours = run_workflow(graph, server=server), run_workflow(graph)
        assert (theirs - ours).abs().mean() <= STEP

    @pytest.mark.parametrize("span", [(200, 500), (0, 1000), (500, 1000)])
    def test_guidance_in_a_span_is_the_same_picture(self, server, span):
        graph = span_workflow(*span)
        theirs, ours = run_workflow(graph, server=server), run_workflow(graph)
        assert (theirs - ours).abs().mean() <= STEP

    def test_pages_are_converted_with_the_names_of_its_widgets(self, server):
        for path in OURS.glob("sd15_*.json"):
            page = OURS.parent / "example_workflows" / path.name
            converted = read_workflow(page, widget_names(server)).graph
            assert converted == load_workflow(path)

    def test_a_page_runs_and_its_picture_carries_it(self, server):
        page = OURS.parent / "example_workflows" / "tiny_mnist_sd_basic.json"
        assert (run_workflow(page, server=server) - run_workflow(page)).abs().mean() <= STEP
        newest = max(Path(os.environ["COMFYUI_PATH"], "output").glob("digit_[0-9]*.png"))
        with Image.open(newest) as picture:
            theirs = picture.text
        text = read_workflow(page).text_chunks()
        assert theirs.keys() == text.keys()
        assert [json.loads(theirs[k]) for k in text] == [json.loads(text[k]) for k in text]

    def test_its_help_page_and_its_templates_are_served(self, server):
        for path in (
            f"extensions/{NAME}/docs/MnistdiffLoader.md",
            f"api/workflow_templates/{NAME}/tiny_mnist_sd_basic.json",
            f"api/workflow_templates/{NAME}/sd15_figure_11.jpg",
        ):
            with urllib.request.urlopen(f"{server}/{path}") as answer:
                assert answer.read()
        with urllib.request.urlopen(f"{server}/workflow_templates") as answer:
            assert len(json.loads(answer.read())[NAME]) == len(list(OURS.glob("*.json")))

    @pytest.mark.parametrize("sampler", ["heun", "uni_pc", "dpmpp_sde", "ddpm"])
    @pytest.mark.parametrize("scheduler", ["simple", "karras"])
    def test_other_samplers_draw_digits_with_any_seed(self, server, basic, sampler, scheduler):
        graph = changed(changed(basic, "5", batch_size=50), "3", text="four")
        inputs = {"sampler_name": sampler, "scheduler": scheduler, "steps": 20, "seed": 2**64 - 1}
        images = run_workflow(changed(graph, "6", **inputs), server=server)
        assert label_accuracy(read_digits(images).digits, torch.full((50,), 4)) >= 0.98

    @pytest.mark.parametrize(
        ("kind", "inputs", "words"),
        [
            (
                "FreeU",
                {"b1": 1.1, "b2": 1.2, "s1": 0.9, "s2": 0.2},
                "is an MLP. Leave the node out",
            ),
            ("RenormCFG", {"cfg_trunc": 100.0, "renorm_cfg": 1.0}, "is an MLP. Leave the node out"),
        ],
    )
    def test_nodes_for_a_unet_say_why_they_fail(self, server, basic, kind, inputs, words):
        graph = deepcopy(basic)
        graph["20"] = {"class_type": kind, "inputs": {"model": ["1", 0], **inputs}}
        with pytest.raises(MnistdiffError, match=words):
            run_workflow(changed(graph, "6", model=["20", 0]), server=server)

    def test_latents_of_another_size_and_models_with_several_texts_are_told(self, server, basic):
        graph = deepcopy(basic)
        size = {"upscale_method": "nearest-exact", "scale_by": 2.0}
        for samples, target, field in ((["6", 0], "7", "samples"), (["5", 0], "6", "latent_image")):
            graph["20"] = {"class_type": "LatentUpscaleBy", "inputs": {"samples": samples, **size}}
            with pytest.raises(MnistdiffError, match=r"latent has shape \(16, 4, 4\).*Upscale Im"):
                run_workflow(changed(graph, target, **{field: ["20", 0]}), server=server)
        numbers = ("width", "height", "crop_w", "crop_h", "target_width", "target_height")
        texts = {"text_g": "seven", "text_l": "seven", "clip": ["1", 1]}
        inputs = dict.fromkeys(numbers, 16) | texts
        graph["3"] = {"class_type": "CLIPTextEncodeSDXL", "inputs": inputs}
        with pytest.raises(MnistdiffError, match="Use CLIP Text Encode"):
            run_workflow(graph, server=server)

    def test_the_vae_has_every_attribute_that_its_methods_read(self, server, basic):
        """Tiled decoding and encoding read the most."""
        graph = deepcopy(basic)
        tiles = {"tile_size": 64, "overlap": 0, "temporal_size": 64, "temporal_overlap": 8}
        for kind, field, source in (("Decode", "samples", "6"), ("Encode", "pixels", "7")):
            inputs = {field: [source, 0], "vae": ["1", 2], **tiles}
            graph["20"] = {"class_type": f"VAE{kind}Tiled", "inputs": inputs}
            again = {"samples": ["20", 0], "vae": ["1", 2]}
            graph["21"] = {"class_type": "VAEDecode", "inputs": again}
            shown = "20" if kind == "Decode" else "21"
            run_workflow(changed(graph, "8", images=[shown, 0]), server=server)

    def test_the_pages_fit_its_nodes(self, server):
        with urllib.request.urlopen(f"{server}/object_info") as answer:
            found = json.loads(answer.read())
        for path in (ROOT / "mnistdiff" / "comfyui" / "example_workflows").glob("*.json"):
            for node in json.loads(path.read_text())["nodes"]:
                stock = found[node["type"]]
                inputs = stock["input"]["required"]
                links = [one["name"] for one in node["inputs"]]
                assert [one["type"] for one in node["inputs"]] == [inputs[n][0] for n in links]
                extra = sum(len(i) > 1 and bool(i[1].get("control_after_generate")) for i in
                            inputs.values())  # fmt: skip
                assert len(links) + len(node["widgets_values"]) == len(inputs) + extra
                assert [one["type"] for one in node["outputs"]] == stock["output"]

    def test_loras(self, server, basic):
        lora = load_workflow("lora")
        off = changed(lora, "2", strength_model=0.0, strength_clip=0.0)
        plain = run_workflow(basic, server=server)
        assert torch.equal(run_workflow(off, server=server), plain)
        styled = run_workflow(lora, server=server)
        assert (styled - run_workflow(lora)).abs().mean() <= STEP
        assert (styled - plain).abs().mean() > 2 * STEP

    def test_a_thousand_digits_are_what_was_asked(self, server, basic):
        images = []
        for digit in range(10):
            graph = changed(changed(basic, "5", batch_size=100), "3", text=f"a handwritten {digit}")
            images.append(run_workflow(changed(graph, "6", seed=digit), server=server))
        labels = torch.arange(10).repeat_interleave(100)
        assert label_accuracy(read_digits(torch.cat(images)).digits, labels) >= 0.98

    def test_its_refusals_name_the_node(self, server, basic):
        with pytest.raises(MnistdiffError, match=r"node 6 \(KSampler\)"):
            run_workflow(changed(basic, "6", steps=0), server=server)
        with pytest.raises(MnistdiffError, match=r"node 3 \(CLIPTextEncode\).*'cat'"):
            run_workflow(changed(basic, "3", text="a cat"), server=server)
