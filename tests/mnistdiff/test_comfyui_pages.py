"""Workflows as ComfyUI's page saves them: they become the graph that ComfyUI would export."""

import codecs
import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from mnistdiff.cli import main
from mnistdiff.comfyui import load_workflow, run_workflow
from mnistdiff.comfyui.files import OURS, read_workflow
from mnistdiff.comfyui.graph import with_inputs
from mnistdiff.comfyui.page import known_widgets
from mnistdiff.errors import MnistdiffError

PAGES = OURS.parent / "example_workflows"
OUR_PAGES = {name: f"tiny_mnist_sd_{name}" for name in ("basic", "lora", "span")}
LOADERS = {"CheckpointLoaderSimple": ["ckpt_name"]}


def read_page(name="tiny_mnist_sd_basic"):
    return json.loads((PAGES / f"{name}.json").read_text())


def node_of(page, kind):
    return next(node for node in page["nodes"] if node["type"] == kind)


def without_preview(graph):
    return {k: v for k, v in graph.items() if v["class_type"] not in ("ImageScale", "PreviewImage")}


def splice(page, number, kind, **settings):
    """Put a node with one input and one output of any type into the link `number`."""
    link = next(link for link in page["links"] if link[0] == number)
    _, source, slot, target, into, type_ = link
    page["links"].remove(link)
    page["links"] += [[901, source, slot, 99, 0, type_], [902, 99, 0, target, into, type_]]
    entry = {"id": 99, "type": kind, "inputs": [{"name": "", "type": type_, "link": 901}]}
    page["nodes"].append(entry | {"outputs": [{"name": "", "type": type_}]} | settings)
    next(n for n in page["nodes"] if n["id"] == target)["inputs"][into]["link"] = 902
    return page


@pytest.mark.parametrize("name", OUR_PAGES)
def test_our_pages_become_our_graphs_and_a_preview(name):
    converted = load_workflow(PAGES / f"{OUR_PAGES[name]}.json")
    assert without_preview(converted) == load_workflow(name)
    assert [node["class_type"] for node in converted.values()][-2:] == [
        "ImageScale",
        "PreviewImage",
    ]
    assert torch.equal(run_workflow(converted), run_workflow(name))


def test_every_graph_has_a_page_with_a_thumbnail():
    for path in OURS.glob("*.json"):
        page = PAGES / f"{OUR_PAGES.get(path.stem, path.stem)}.json"
        graph = read_workflow(
            read_page(page.stem), lambda kind: LOADERS.get(kind) or known_widgets(kind)
        ).graph
        if path.stem not in OUR_PAGES:
            assert graph == load_workflow(path.stem)
        picture = page.with_suffix(".jpg").read_bytes()
        assert picture[:3] == b"\xff\xd8\xff"
        assert 1_000 < len(picture) <= 40_000


def test_a_digit_is_shown_enlarged_with_sharp_pixels():
    graph = load_workflow(PAGES / "tiny_mnist_sd_basic.json")
    del graph["8"]
    enlarged, plain = run_workflow(graph), run_workflow("basic")
    assert torch.equal(enlarged[..., ::10, ::10], plain)
    assert torch.equal(enlarged[..., 9::10, 9::10], plain)


@pytest.mark.parametrize("kind", ["Reroute", "bypassed"])
def test_links_run_past_reroutes_and_bypassed_nodes(kind):
    settings = {"mode": 4} if kind == "bypassed" else {}
    page = splice(read_page(), 3, "LoraLoaderModelOnly" if settings else kind, **settings)
    assert without_preview(load_page(page)) == load_workflow("basic")


def load_page(page):
    return read_workflow(page).graph


def test_muted_nodes_and_notes_are_left_out():
    page = read_page()
    node_of(page, "SaveImage")["mode"] = 2
    page["nodes"].append({"id": 50, "type": "Note", "widgets_values": ["hello"]})
    graph = load_page(page)
    assert "8" not in graph
    assert "50" not in graph


def test_a_muted_source_leaves_the_input_missing():
    page = read_page()
    node_of(page, "EmptyLatentImage")["mode"] = 2
    with pytest.raises(MnistdiffError, match=r"node 6 .*input latent_image: it is missing"):
        run_workflow(page)


def test_a_widget_may_be_fed_by_a_primitive_or_a_link():
    page = read_page()
    sampler = node_of(page, "KSampler")
    sampler["inputs"].append(
        {"name": "steps", "type": "INT", "widget": {"name": "steps"}, "link": 90}
    )
    page["links"].append([90, 40, 0, sampler["id"], 4, "INT"])
    page["nodes"].append({"id": 40, "type": "PrimitiveNode", "widgets_values": [7, "fixed"]})
    assert load_page(page)["6"]["inputs"]["steps"] == 7


def test_newer_pages_are_read_too():
    """Links as objects, and widgets named in the inputs, also of a node unknown here."""
    page = read_page()
    fields = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    page["links"] = [dict(zip(fields, link, strict=True)) for link in page["links"]]
    inputs = [
        {"name": name, "type": "INT", "widget": {"name": name}, "link": None}
        for name in ("noise_seed", "size")
    ]
    page["nodes"].append(
        {"id": 60, "type": "Theirs", "inputs": inputs, "widgets_values": [5, "randomize", 8]}
    )
    graph = load_page(page)
    assert graph.pop("60") == {"class_type": "Theirs", "inputs": {"noise_seed": 5, "size": 8}}
    assert without_preview(graph) == load_workflow("basic")


def broken(change):
    page = read_page()
    change(page)
    return page


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (read_page("sd15_basic"), r"node 1 \(CheckpointLoaderSimple\): .*Export \(API\)"),
        (broken(lambda p: p.pop("links")), "damaged .*links"),
        (broken(lambda p: p["links"].clear()), "damaged"),
        (broken(lambda p: p["nodes"][0].pop("type")), "damaged"),
        (broken(lambda p: p["nodes"].append(3)), "damaged"),
        (
            broken(
                lambda p: (
                    p.update(definitions={"subgraphs": [{"id": "u"}]})
                    or p["nodes"].append({"id": 70, "type": "u"})
                )
            ),
            "node 70: it is a subgraph",
        ),
    ],
)
def test_what_cannot_be_converted_is_told(page, words):
    with pytest.raises(MnistdiffError, match=words):
        run_workflow(page)


def test_a_ring_of_reroutes_ends():
    page = splice(read_page(), 3, "Reroute")
    next(link for link in page["links"] if link[0] == 901)[1] = 99
    with pytest.raises(MnistdiffError, match="input model: it is missing"):
        run_workflow(page)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: json.dumps({"prompt": json.loads(text), "client_id": "me"}).encode(),
    ],
)
def test_other_encodings_and_a_request_to_prompt_are_read(tmp_path, encode):
    path = tmp_path / "mine.json"
    path.write_bytes(encode((OURS / "basic.json").read_text()))
    assert load_workflow(path) == load_workflow("basic")


def test_a_node_may_be_called_prompt():
    graph = load_workflow("basic")
    graph["prompt"] = graph.pop("3")
    graph = with_inputs(graph, "6", positive=["prompt", 0])
    assert torch.equal(run_workflow(graph), run_workflow("basic"))


def test_only_our_workflows_are_called_ours(tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    names = ", ".join(sorted(path.stem for path in OURS.glob("*.json")))
    for missing in (tmp_path, tmp_path / "absent", "absent", "\0"):
        with pytest.raises(MnistdiffError) as told:
            load_workflow(missing)
        assert str(told.value).endswith(f"or one of ours: {names}.")
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    with pytest.raises(MnistdiffError, match="not a workflow"):
        load_workflow(deep)


@pytest.mark.parametrize("source", ["basic", PAGES / "tiny_mnist_sd_basic.json"])
def test_saved_pictures_carry_their_workflow(tmp_path, source):
    from PIL import Image

    run_workflow(source, output=tmp_path)
    assert main(["comfyui", "run", str(source), "-o", str(tmp_path / "cli.png")]) == 0
    for name in ("digit_00001_.png", "cli.png"):
        with Image.open(tmp_path / name) as picture:
            carried = picture.text
        assert json.loads(carried["prompt"]) == load_workflow(source)
        if isinstance(source, Path):
            assert json.loads(carried["workflow"]) == read_page()
        else:
            assert "workflow" not in carried


def test_the_help_names_every_workflow(capsys):
    with pytest.raises(SystemExit):
        main(["comfyui", "run", "--help"])
    shown = "".join(capsys.readouterr().out.split())
    for path in OURS.glob("*.json"):
        assert path.stem in shown


def test_pictures_of_several_sizes_are_told():
    graph = load_workflow(PAGES / "tiny_mnist_sd_basic.json")
    graph = deepcopy(graph) | {
        "20": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "big"}}
    }
    with pytest.raises(MnistdiffError, match=r"different sizes \(280x280, 28x28\)"):
        run_workflow(graph)
