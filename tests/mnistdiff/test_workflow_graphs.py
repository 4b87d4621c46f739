"""What section 7 shows and says about graphs: the picture, the comparison, an edited copy."""

import json

import pytest

from mnistdiff.comfyui.files import load_workflow
from mnistdiff.comfyui.graph import with_inputs
from mnistdiff.comfyui.workflow import run_workflow
from mnistdiff.course.expect import expect_graph
from mnistdiff.errors import MnistdiffError
from mnistdiff.plotting.workflow import depths, links, plot_workflow

NAMES = ("basic", "lora", "sd15_basic", "sd15_lora")


def renamed(graph):
    """The same graph with other ids, in another order, links as tuples."""
    nodes = {f"n{name}": node for name, node in reversed(graph.items())}
    return {
        name: {
            "class_type": node["class_type"],
            "inputs": {
                field: (f"n{value[0]}", value[1]) if isinstance(value, list) else value
                for field, value in node["inputs"].items()
            },
            "_meta": {"title": "mine"},
        }
        for name, node in nodes.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_has_a_picture_with_all_its_texts(name):
    graph = load_workflow(name)
    figure = plot_workflow(graph, new=("6",))
    shown = [text.get_text() for text in figure.axes[0].texts]
    for number, node in graph.items():
        assert f"{number}  {node['class_type']}" in shown
    deep = depths(graph)
    assert all(deep[link.source] < deep[link.target] for link in links(graph))
    assert {link.kind for link in links(graph)} <= {
        "MODEL", "CLIP", "VAE", "CONDITIONING", "LATENT", "IMAGE"
    }  # fmt: skip


def test_a_circle_or_a_strange_node_still_has_a_picture():
    graph = with_inputs(load_workflow("basic"), "6", latent_image=["7", 0])
    graph["7"]["class_type"] = "Strange"
    plot_workflow(graph)


@pytest.mark.parametrize("text", [None, "{", '{"nodes": []}'])
def test_a_file_that_is_no_workflow_is_told(tmp_path, text):
    path = tmp_path / "graph.json"
    if text:
        path.write_text(text)
    with pytest.raises(
        MnistdiffError, match=r"is (not )?a workflow|the workflow is in the UI format but damaged"
    ):
        load_workflow(path)


@pytest.mark.parametrize("steps", [0, 10_001])
def test_steps_have_the_limits_of_comfyuis_own_sampler(steps):
    with pytest.raises(MnistdiffError, match=rf"{steps} must be a whole number from 1 to 10000"):
        run_workflow(with_inputs(load_workflow("basic"), "6", steps=steps))


def test_an_edited_copy_leaves_the_graph_alone():
    graph = load_workflow("basic")
    before = json.dumps(graph)
    assert with_inputs(graph, "6", steps=7)["6"]["inputs"]["steps"] == 7
    assert json.dumps(graph) == before
    with pytest.raises(MnistdiffError, match="no node '77'; the workflow has 1, 3"):
        with_inputs(graph, "77", steps=7)


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_is_the_same_under_other_ids(name):
    graph = load_workflow(name)
    expect_graph("it", renamed(graph), graph, {})


def test_what_differs_is_told():
    graph = load_workflow("basic")
    swapped = with_inputs(graph, "6", positive=["4", 0], negative=["3", 0])
    faults = [
        (swapped, "Likely cause: they are swapped"),
        (with_inputs(graph, "6", steps="50"), r"steps of node 6 \(KSampler\) is '50', expected 50"),
        (with_inputs(graph, "6", model=["1", 1]), "is output 1 of node 1 .*, expected output 0"),
        (with_inputs(graph, "6", model=[1, 0]), "where the id is a string"),
        (with_inputs(graph, "6", model=["77", 0]), "'77', which is not in the graph"),
        ({k: v for k, v in graph.items() if k != "8"}, "It lacks a SaveImage"),
        (graph | {"9": graph["8"]}, "It has one SaveImage too many"),
        (graph["6"], "'class_type' is not a node"),
        (with_inputs(graph, "6", steps={1}), "cannot be written as JSON"),
        (None, "it is None, expected a dictionary"),
    ]
    for found, words in faults:
        with pytest.raises(AssertionError, match=words):
            expect_graph("it", found, graph, {"they are swapped": swapped})
