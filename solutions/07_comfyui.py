# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7. ComfyUI: the same model as a graph
#
# *Needs: CPU, about 1 minute; no ComfyUI.*
#
# [ComfyUI](https://github.com/comfyanonymous/ComfyUI) is the program in which many people use
# Stable Diffusion: boxes on a page, wires between them, a picture at the end. It looks very
# different from the scripts of this course, but it computes the same thing. `tiny-mnist-sd` runs in
# it with the program's own nodes. So this is the last step: every box is a function that you know.
# You write two programs that rewire a graph. Then you repeat the report's prompt experiments, and
# measure them.

# %%
import sys

if "google.colab" in sys.modules:  # only in Colab: install this course's package, nothing else
    import subprocess

    url = "git+https://github.com/mnistdiff/mnistdiff"
    subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", url])

# %% tags=["parameters"]
profile = "quick"

# %% [markdown]
# **By the end you can**
#
# - read a ComfyUI graph, and name the line of code behind each of its nodes;
# - change a graph with a program: its prompts, its sampler, an added LoRA;
# - measure how prompt, negative prompt, guidance, steps and LoRA change a picture;
# - say what a node graph and a script are each good for, and what neither of them can change.

# %%
import itertools
import math
from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnistdiff.comfyui.graph import Graph
from mnistdiff.course.expect import expect_graph, on_graph  # used by the visible tests

# %% tags=["hide-input"]
# %matplotlib inline
from IPython.display import Markdown, display

from mnistdiff import plotting
from mnistdiff.data import to_signed
from mnistdiff.experiments import get_profile, load_digits, markdown_table, percent
from mnistdiff.metrics import read_digits, wilson_interval
from mnistdiff.pipeline import TextToImagePipeline

settings = get_profile(profile)
pipeline = TextToImagePipeline.from_pretrained()  # CLIP, VAE and noise predictor, as shipped
per_digit = max(3 * settings.samples // 100, 3)
few, medium, usual, many = settings.curve_evaluations[:2] + settings.curve_evaluations[-2:]  # steps
run_label = (
    f"*{settings.name.capitalize()} profile: {10 * per_digit:,} digits per measurement, "
    f"{per_digit} of each kind, one seed per kind, drawn with the shipped model.*"
)
Markdown(run_label)

# %% [markdown]
# ## A graph is a dictionary
#
# ComfyUI's page shows boxes and wires. It sends them to its engine as JSON, in the **API format**
# (*Workflow > Export (API)*). Each key is the id of a node, as text. Each node has a `class_type`
# and its `inputs`. An input is either a value or a **link**, the list `[id, output]`, which means
# "output number `output` of node `id`". The report's workflow 1, adapted to our model, comes with
# this course:

# %%
import pprint

from mnistdiff.comfyui import load_workflow, run_workflow

basic = load_workflow("basic")
pprint.pp({name: basic[name] for name in ("1", "3", "6")}, width=72)

# %% mystnb={"image": {"alt": "Seven boxes from top to bottom: a loader; two text encoders and an empty latent; a sampler with seed, steps, cfg and sampler name; a VAE decoder; save image. Coloured links join them: MODEL from the loader to the sampler, CLIP to both encoders, VAE to the decoder, CONDITIONING, LATENT and IMAGE between the others."}, "figure": {"caption": "Workflow 1 of the report (its Figure 8) for tiny-mnist-sd, drawn from the JSON.", "name": "fig-07-basic"}}
plotting.plot_workflow(basic)

# %% [markdown]
# The loader has three outputs, `MODEL` (0), `CLIP` (1) and `VAE` (2): the three parts of section
# 6's pipeline. Types must match: a `MODEL` output goes into a `MODEL` input. The graph gives no
# order of execution. ComfyUI starts from the node that saves, and runs what this node needs. Node
# by node:
#
# | node | in this course | section |
# |---|---|---|
# | `MnistdiffLoader` | `TextToImagePipeline.from_pretrained()`: the network, CLIP, the VAE | 6 |
# | `CLIPTextEncode` | `pipeline.encode_prompts([text])`: a point on CLIP's sphere | 5 |
# | `EmptyLatentImage` | zeros; 16x16 pixels are a latent of (16, 2, 2), our 64 numbers | 2, 4 |
# | `KSampler` | `sample_ddim(...)` with guidance, from noise | 3, 6 |
# | – its `seed` | `torch.Generator().manual_seed(seed)`, then `torch.randn` | 3 |
# | – its `steps` | `num_inference_steps` | 3 |
# | – its `cfg` | `guidance_scale`; 1 means no guidance | 6 |
# | – its `sampler_name` | the formula of each step; `ddim` is DDIM with $\eta = 0$ | 3 |
# | – its `scheduler` | how the timesteps are spaced; `simple` is our `trailing` | 3 |
# | – its `denoise` | `strength` of image to image; 1 starts from pure noise | 6 |
# | `VAEDecode` | `pipeline.vae.decode` | 1 |
# | `LoraLoader` | `merge_lora(network, tensors, strength)` | 6 |
#
# The negative prompt is not an option but a second `CLIPTextEncode`. The wire decides which prompt
# is which.
#
# ## Three ways, one picture
#
# `run_workflow` runs a graph without ComfyUI: each node is a call of the library. Beside it are the
# same nodes as lines of code, and the pipeline of section 6.

# %%
from mnistdiff.samplers import sample_ddim

by_graph = run_workflow(basic)

loaded = TextToImagePipeline.from_pretrained()  # node 1
positive = loaded.encode_prompts(["a handwritten seven"])  # node 3
negative = loaded.encode_prompts([""])  # node 4
noise = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))  # node 5, and the seed
z0 = sample_ddim(  # node 6
    loaded.model,
    loaded.schedule,
    noise.shape,
    num_inference_steps=50,
    cond=positive,
    uncond=negative,
    guidance_scale=3.0,
    noise=noise,
)
by_lines = loaded.decode(z0)  # node 7

by_pipeline = loaded(
    "a handwritten seven",
    num_inference_steps=50,
    guidance_scale=3.0,
    guidance_span=(0, 1000),  # at every step, as the sampler's cfg
    generator=torch.Generator().manual_seed(0),
).images

# %% tags=["hide-input"] mystnb={"image": {"alt": "The same handwritten seven three times: from the graph, from the lines, from the pipeline."}, "figure": {"caption": "One seed, one picture.", "name": "fig-07-same"}}
ways = {"graph": by_graph, "lines": by_lines, "pipeline": by_pipeline}
display(plotting.plot_columns([to_signed(torch.cat(list(ways.values())))], list(ways), []))
gap = max(float((image - by_graph).abs().max()) for image in ways.values())
Markdown(
    f"Largest difference in any pixel: {gap:g}. "
    + ("The three are the same picture, bit for bit." if gap == 0 else "")
)

# %% [markdown]
# ## Exercise 1: edit the sampler and its prompts
#
# On the page, you type into boxes. To try a hundred settings, you need a function. It takes a graph
# and returns a *new* one, in which
#
# - the `KSampler` has another `sampler_name`, `steps` and `cfg`;
# - the two encoders that feed it have other texts.
#
# Which encoder is the positive one? The ids and the order do not tell you, because the page and the
# export number the nodes in the order in which they were made. Only the links tell you. The graph
# has one `KSampler`. It may have more encoders, whose texts must stay as they are.
#
# The given graph must stay as it is, because somebody may still want to run it. A graph is a
# dictionary of dictionaries of dictionaries, so a copy of the outermost one is not enough.
#
# <details><summary>Hint</summary>
#
# `copy.deepcopy` copies all levels. Find the node whose `class_type` is `"KSampler"`. Its input
# `positive` is a link such as `["8", 0]`: the first part is a key of the graph.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "edit_sampler", "locked": false, "schema_version": 3, "solution": true, "task": false}
def edit_sampler(
    graph: Graph, positive: str, negative: str, sampler_name: str, steps: int, cfg: float
) -> Graph:
    """Return a new graph with other settings of its KSampler and other prompts.

    graph: API format, {id: {"class_type": ..., "inputs": {...}}}, with one KSampler; it must
    not change. positive, negative: the texts of the CLIPTextEncode nodes that feed the KSampler.
    """
    ### BEGIN SOLUTION
    edited = deepcopy(graph)
    sampler = next(n["inputs"] for n in edited.values() if n["class_type"] == "KSampler")
    sampler.update(sampler_name=sampler_name, steps=steps, cfg=cfg)
    for field, text in (("positive", positive), ("negative", negative)):
        encoder, _ = sampler[field]
        edited[encoder]["inputs"]["text"] = text
    return edited
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_edit_sampler", "locked": true, "schema_version": 3, "solution": false, "task": false}
def five_nodes(spare: str, low: str, high: str, **changes: object) -> Graph:
    """Return a graph: encoders 8 (positive) and 3 (negative) feed a sampler, 7 feeds nothing."""
    own = {"seed": 7, "steps": 50, "cfg": 3.0, "sampler_name": "ddim", "scheduler": "simple"}
    links = {"model": ["5", 0], "positive": ["8", 0], "negative": ["3", 0]}
    return {
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": spare, "clip": ["5", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": low, "clip": ["5", 1]}},
        "8": {"class_type": "CLIPTextEncode", "inputs": {"text": high, "clip": ["5", 1]}},
        "5": {"class_type": "MnistdiffLoader", "inputs": {"model_name": "tiny-mnist-sd"}},
        "2": {"class_type": "KSampler", "inputs": {**links, **own, **changes}},
    }


given, kept = (five_nodes("a digit", "one", "seven") for _ in range(2))
new = {"sampler_name": "euler", "steps": 20, "cfg": 1.5}
misplaced = {"scheduler": "euler", "steps": 20, "cfg": 1.5}
follow = "the KSampler's inputs `positive` and `negative` are links: follow them"
causes = {
    f"the two texts are swapped; {follow}": five_nodes("a digit", "four", "nine", **new),
    f"you changed the first two encoders; {follow}": five_nodes("four", "nine", "seven", **new),
    f"you sorted the encoders by their ids; {follow}": five_nodes("nine", "four", "seven", **new),
    "the KSampler is edited, the texts (in the inputs of the encoders) are not": five_nodes(
        "a digit", "one", "seven", **new
    ),
    "the texts are edited, the inputs of the KSampler are not": five_nodes(
        "a digit", "nine", "four"
    ),
    "only the positive text is set": five_nodes("a digit", "one", "four", **new),
    "only the negative text is set": five_nodes("a digit", "nine", "seven", **new),
    "node 7 feeds no sampler: its text must not change": five_nodes("nine", "nine", "four", **new),
    "node 7 feeds no sampler, so its text must not change": five_nodes(
        "four", "nine", "four", **new
    ),
    "you wrote sampler_name into `scheduler`, which is another input": five_nodes(
        "a digit", "nine", "four", **misplaced
    ),
    "the texts belong in the encoders, not in the KSampler, which has links to them": five_nodes(
        "a digit", "one", "seven", positive="four", negative="nine", **new
    ),
    "nothing was edited": kept,
}
wanted = five_nodes("a digit", "nine", "four", **new)
found = on_graph(edit_sampler, given, "four", "nine", "euler", 20, 1.5)
expect_graph("the edited graph", found, wanted, causes)
in_place = (
    "the given graph has changed: work on a deep copy. dict(graph) and graph.copy() are shallow: "
    "they share the nodes with the original"
)
assert given == kept, in_place

causes = {"an empty negative prompt is a text too: set it": five_nodes("a digit", "one", "four")}
wanted = five_nodes("a digit", "", "four")
found = on_graph(edit_sampler, given, "four", "", "ddim", 50, 3.0)
expect_graph("the graph", found, wanted, causes)
print("edit_sampler: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_edit_sampler", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("edit_sampler", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** The basic workflow, asked for a four but not a nine, with 20 steps of DPM-Solver++
# and cfg 2. The frames mark the nodes that differ. Below are eight fours from this graph, and then
# the fours from yours.

# %% tags=["hide-input"] mystnb={"image": {"alt": "The graph of the basic workflow with three framed nodes: the positive encoder says a handwritten four, the negative nine, and the sampler has 20 steps, cfg 2.0 and dpmpp_2m."}, "figure": {"caption": "The edited workflow.", "name": "fig-07-edited"}}
from mnistdiff.comfyui.graph import with_inputs

four = with_inputs(basic, "3", text="a handwritten four")
four = with_inputs(four, "4", text="nine")
four = with_inputs(four, "6", sampler_name="dpmpp_2m", steps=20, cfg=2.0)
plotting.plot_workflow(four, new=("3", "4", "6"))

# %% tags=["hide-input"] mystnb={"image": {"alt": "A row of eight handwritten fours."}, "figure": {"caption": "What the edited workflow draws, as a batch of eight.", "name": "fig-07-fours"}}
fours = run_workflow(with_inputs(four, "5", batch_size=8), pipeline=pipeline)
plotting.plot_columns([to_signed(fours)], [""] * 8, ["expected"])

# %% mystnb={"image": {"alt": "A row of eight handwritten fours."}, "figure": {"caption": "What your edited graph draws.", "name": "fig-07-your-fours"}}
try:
    eight = with_inputs(basic, "5", batch_size=8)
    yours = edit_sampler(eight, "a handwritten four", "nine", "dpmpp_2m", 20, 2.0)
    found = run_workflow(yours, pipeline=pipeline)
    print("your graph draws", "the same" if torch.equal(found, fours) else "something else")
    display(plotting.plot_columns([to_signed(found)], [""] * len(found), ["yours"]))
except Exception as error:  # an unfinished cell must not stop the notebook
    print(f"Not yet ({type(error).__name__}: {error}).")
    print("Finish the cell above, then run this one again.")

# %% [markdown]
# ## Exercise 2: insert a LoRA
#
# The report's second workflow adds a style. `LoraLoader` takes a `MODEL` and a `CLIP` and returns
# changed versions of both: output 0 is the `MODEL`, output 1 is the `CLIP`. It stands *between* the
# loader and everything that used these two outputs. On the page, you add one node and two wires
# into it. Then you move each old wire from the loader to the LoRA. If you forget one, half of the
# graph ignores the style, without an error.
#
# The inputs of a `LoraLoader` are the links `model` and `clip`, `lora_name`, and two strengths,
# `strength_model` and `strength_clip`. Here both strengths are `strength`. (Our LoRAs change only
# the network, so the second strength has no effect. The node still requires it.)
#
# Write the function for any graph with one loader, either `MnistdiffLoader` or Stable Diffusion's
# `CheckpointLoaderSimple`. The graph can have any ids and any number of samplers and encoders. If
# it already has a LoRA, the new one goes right after the loader and feeds the old one. The links of
# the VAE do not change.
#
# <details><summary>Hint</summary>
#
# Rewire first, and add the node afterwards: then its own links to the loader are safe. The new id
# must not occur in the graph yet; any text will do.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "insert_lora", "locked": false, "schema_version": 3, "solution": true, "task": false}
def insert_lora(graph: Graph, lora_name: str, strength: float) -> Graph:
    """Return a new graph with a LoraLoader right after its loader.

    graph: API format, with one MnistdiffLoader or CheckpointLoaderSimple, whose outputs are MODEL,
    CLIP and VAE; it must not change. Both strengths of the LoraLoader are `strength`.
    """
    ### BEGIN SOLUTION
    styled = deepcopy(graph)
    kinds = ("MnistdiffLoader", "CheckpointLoaderSimple")
    loader = next(name for name, node in graph.items() if node["class_type"] in kinds)
    lora = next(name for name in map(str, itertools.count(1)) if name not in graph)
    for node in styled.values():
        for field, link in node["inputs"].items():
            if link in ([loader, 0], [loader, 1]):
                node["inputs"][field] = [lora, link[1]]
    inputs = {"model": [loader, 0], "clip": [loader, 1], "lora_name": lora_name}
    inputs |= {"strength_model": strength, "strength_clip": strength}
    styled[lora] = {"class_type": "LoraLoader", "inputs": inputs}
    return styled
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_insert_lora", "locked": true, "schema_version": 3, "solution": false, "task": false}
def one_sampler(model: list, clips: tuple, vae: list, *loras: dict) -> Graph:
    """Return a graph: loader 5, encoders 2 and 3, sampler 4, decoder 6, and perhaps a LoRA."""
    fed = {"model": model, "seed": 7, "positive": ["2", 0], "negative": ["3", 0]}
    graph = {
        "4": {"class_type": "KSampler", "inputs": fed},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "seven", "clip": clips[0]}},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": vae}},
        "5": {"class_type": "MnistdiffLoader", "inputs": {"model_name": "tiny-mnist-sd"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "one", "clip": clips[1]}},
    }
    new = [("new", {"class_type": "LoraLoader", "inputs": one}) for one in loras]
    return graph | dict(new)


def two_samplers(model: list, clip: list, straight: list, *loras: dict) -> Graph:
    """Return a graph: loader 12, LoRA 1 for sampler 9 and encoder 7, sampler 4 without a LoRA."""
    strengths = {"strength_model": 0.5, "strength_clip": 0.5}
    old = {"model": model, "clip": clip, "lora_name": "old.safetensors", **strengths}
    text = {"positive": ["7", 0], "negative": ["7", 0]}
    graph = {
        "9": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "seed": 1, **text}},
        "1": {"class_type": "LoraLoader", "inputs": old},
        "12": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "a puppy", "clip": ["1", 1]}},
        "4": {"class_type": "KSampler", "inputs": {"model": straight, "seed": 2, **text}},
    }
    new = [("new", {"class_type": "LoraLoader", "inputs": one}) for one in loras]
    return graph | dict(new)


before, after = (["5", 1], ["5", 1]), (["new", 1], ["new", 1])  # where the encoders get their CLIP
given, kept = (one_sampler(["5", 0], before, ["5", 2]) for _ in range(2))
lora = {"model": ["5", 0], "clip": ["5", 1], "lora_name": "bold.safetensors"}
lora |= {"strength_model": 0.7, "strength_clip": 0.7}
looped = lora | {"model": ["new", 0], "clip": ["new", 1]}
first, second = (["new", 1], ["5", 1]), (["5", 1], ["new", 1])
each = "two encoders use the CLIP, and you rewired only one of them: go through every input"
causes = {
    "the LoRA is there, but nothing uses it": one_sampler(["5", 0], before, ["5", 2], lora),
    "you did not rewire the CLIP of the encoders": one_sampler(["new", 0], before, ["5", 2], lora),
    "you did not rewire the MODEL of the KSampler": one_sampler(["5", 0], after, ["5", 2], lora),
    each: one_sampler(["new", 0], first, ["5", 2], lora),
    f"{each} of every node": one_sampler(["new", 0], second, ["5", 2], lora),
    "you rewired the VAE; a LoraLoader has no VAE": one_sampler(
        ["new", 0], after, ["new", 2], lora
    ),
    "you rewired the LoraLoader's own inputs too: it feeds itself": one_sampler(
        ["new", 0], after, ["5", 2], looped
    ),
    "you mixed up the outputs: MODEL is output 0, CLIP is output 1": one_sampler(
        ["new", 1], (["new", 0], ["new", 0]), ["5", 2], lora
    ),
    "no LoraLoader was added": kept,
}
wanted = one_sampler(["new", 0], after, ["5", 2], lora)
found = on_graph(insert_lora, given, "bold.safetensors", 0.7)
expect_graph("the graph", found, wanted, causes)
in_place = (
    "the given graph has changed: work on a deep copy. dict(graph) and graph.copy() are shallow: "
    "they share the nodes with the original"
)
assert given == kept, in_place

own, rewired = (["12", 0], ["12", 1]), (["new", 0], ["new", 1])
lora = {"model": ["12", 0], "clip": ["12", 1], "lora_name": "thin.safetensors"}
lora |= {"strength_model": -0.3, "strength_clip": -0.3}
causes = {
    "you did not rewire the second sampler": two_samplers(*rewired, ["12", 0], lora),
    "the old LoRA must take the MODEL and CLIP of the new one": two_samplers(
        *own, ["new", 0], lora
    ),
}
given, wanted = two_samplers(*own, ["12", 0]), two_samplers(*rewired, ["new", 0], lora)
found = on_graph(insert_lora, given, "thin.safetensors", -0.3)
expect_graph("the graph with two samplers and a LoRA", found, wanted, causes)
again = on_graph(insert_lora, found, "bold.safetensors", 1.0)
lost = "inserting a second LoRA overwrites the first, because both get the same id"
assert len(again) == len(found) + 1, f"{lost}: choose an id that the graph does not have"
print("insert_lora: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_insert_lora", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("insert_lora", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** The report's workflow 2: the basic one with the LoRA `bold`, framed. Below it is the
# same noise at three strengths. At strength 0, the picture must be the same as from the graph
# without the LoRA.

# %% mystnb={"image": {"alt": "The graph of the basic workflow with a framed LoraLoader below the loader: MODEL and CLIP run through it to the sampler and the two encoders; the VAE link bypasses it."}, "figure": {"caption": "Workflow 2 of the report (its Figure 9) for tiny-mnist-sd.", "name": "fig-07-lora"}}
with_lora = load_workflow("lora")
plotting.plot_workflow(with_lora, new=("2",))

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three rows of the same eight sevens: plain at strength 0, bolder at 0.5, very bold at 1."}, "figure": {"caption": "The LoRA's strength, in the graph.", "name": "fig-07-strengths"}}
rows = {}
for strength in (0.0, 0.5, 1.0):
    graph = with_inputs(with_lora, "2", strength_model=strength, strength_clip=strength)
    rows[strength] = run_workflow(with_inputs(graph, "5", batch_size=8), pipeline=pipeline)
names = [f"strength {strength:g}" for strength in rows]
display(plotting.plot_columns([to_signed(row) for row in rows.values()], [""] * 8, names))
plain = run_workflow(with_inputs(basic, "5", batch_size=8), pipeline=pipeline)
relation = "the same as" if torch.equal(rows[0.0], plain) else "**not** the same as"
Markdown(f"At strength 0 the eight digits are {relation} those of the graph without a LoRA.")

# %% mystnb={"image": {"alt": "A row of eight bold handwritten sevens."}, "figure": {"caption": "What your graph with a LoRA draws.", "name": "fig-07-your-lora"}}
try:
    eight = with_inputs(basic, "5", batch_size=8)
    found = run_workflow(insert_lora(eight, "bold-v1.safetensors", 1.0), pipeline=pipeline)
    print("your graph draws", "the same" if torch.equal(found, rows[1.0]) else "something else")
    display(plotting.plot_columns([to_signed(found)], [""] * len(found), ["yours"]))
except Exception as error:  # an unfinished cell must not stop the notebook
    print(f"Not yet ({type(error).__name__}: {error}).")
    print("Finish the cell above, then run this one again.")

# %% [markdown]
# From here on the cells are given.
#
# ## The prompts that failed
#
# The report asked Stable Diffusion 1.5 for digits (its Figure 10) and got a car. A long description
# gave digits, but in a wrong arrangement. Here are its prompts, in the basic workflow, for our
# model:

# %% tags=["hide-input"]
from mnistdiff.errors import MnistdiffError
from mnistdiff.prompts import NEUTRAL_WORDS

REPORT_PROMPTS = {
    "Figure 10a, positive": ("3", "0,1,2,3,4,5,6,7,8,9"),
    "Figure 10a, negative": ("4", "blurry, unclear, other digits"),
    "Figure 10b, negative": (
        "4",
        "vehicles, objects, animals, plants, scenery, or any other non-numerical",
    ),
    "Figure 11, positive": ("3", "a puppy"),
}
lines = []
for name, (node, text) in REPORT_PROMPTS.items():
    try:
        run_workflow(with_inputs(basic, node, text=text), pipeline=pipeline)
        lines.append(f"- **{name}**: the model draws it.")
    except MnistdiffError as error:
        problem, *_ = str(error).split(" It knows ")  # the vocabulary follows below, once
        lines.append(f"- **{name}**: {problem}")
vocabulary = f"the digits 0 to 9, their names, and: {' '.join(NEUTRAL_WORDS)}."
Markdown("\n".join([*lines, f"\nThe vocabulary of our model: {vocabulary}"]))

# %% [markdown]
# Neither program is at fault, in the report or here. A model draws what it was trained on. Stable
# Diffusion learned from photographs and their captions. Few of them have the caption "0,1,2,3", and
# none of these shows a clean row of digits. (The report's reason is that "ComfyUI is based on
# natural datasets". This is true of the model; ComfyUI itself is not based on any data.) Our model
# learned single digits and some fifty words. It does not know a puppy, so it says so instead of
# drawing its best guess.
#
# In its Figure 10b, the report wanted "the numbers 0 to 9 as an image of 8\*10 numbers, 8 identical
# numbers in each column, columns numbered in order, black background, white text". This needs ten
# prompts, not one better prompt. The graph runs once per digit with `batch_size` 8, and a line of
# code puts the columns in order. Programs are good at arranging.


# %%
from mnistdiff.prompts import DIGIT_NAMES


def ten_digits(graph: Graph, template: str, negative: str = "", count: int = per_digit) -> Tensor:
    """Draw `count` digits of each kind, 0 first: one run of the graph, and one seed, per digit.

    `template` and `negative` may contain {} for the digit's name.
    """
    found = []
    for digit, name in enumerate(DIGIT_NAMES):
        asked = with_inputs(graph, "3", text=template.format(name))
        asked = with_inputs(asked, "4", text=negative.format(name))
        asked = with_inputs(asked, "5", batch_size=count)
        found.append(run_workflow(with_inputs(asked, "6", seed=digit), pipeline=pipeline))
    return torch.cat(found)


# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight rows of ten handwritten digits, white on black: the first column holds zeros, the next ones, and so on to nines."}, "figure": {"caption": "What the report's prompt 10b describes: ten runs of one graph.", "name": "fig-07-grid"}}
graph = with_inputs(basic, "6", steps=many)
columns = ten_digits(graph, "a handwritten {}", count=8).unflatten(0, (10, 8))
in_rows = [to_signed(row) for row in columns.transpose(0, 1)]
plotting.plot_columns(in_rows, [str(digit) for digit in range(10)], [])

# %% [markdown]
# ## A simple prompt, a detailed prompt and a negative one
#
# In the report's Figures 10 and 11, a detailed prompt gave more of what was wanted, judged by eye
# from one picture each. Here we count: how often does the judge read the requested digit?


# %%
def share_of(hits: Tensor) -> str:
    """Return the share of hits as text: in percent, with its interval."""
    count, n = int(hits.sum()), len(hits)
    return percent(count / n, wilson_interval(count, n))


labels = torch.arange(10).repeat_interleave(per_digit)
PROMPTS = {  # positive, negative
    "simple": ("{}", ""),
    "detailed": ("this image shows the digit {} in white on a black background", ""),
    "a negative that names no digit": ("{}", "the background"),
    "negative: another digit": ("{}", "one"),
    "negative: the digit itself": ("{}", "{}"),
    "the digit only as the negative": ("a handwritten digit", "{}"),
}
mild = 1.4  # the cfg of these comparisons
graph = with_inputs(basic, "6", steps=usual, cfg=mild)
drawn = {name: ten_digits(graph, *texts) for name, texts in PROMPTS.items()}
hits = {name: read_digits(images).digits == labels for name, images in drawn.items()}

# %% tags=["hide-input"]
rows = [
    [name, f'"{positive}"', f'"{negative}"', share_of(hits[name])]
    for name, (positive, negative) in PROMPTS.items()
]
display(
    Markdown(
        markdown_table(["", "positive", "negative", "label accuracy, % (95 % interval)"], rows)
    )
)


def apart(first: Tensor, second: Tensor) -> bool:
    """Return whether the intervals of two shares lie apart."""
    (low, high), (low2, high2) = (wilson_interval(int(h.sum()), len(h)) for h in (first, second))
    return high < low2 or high2 < low


verdict = "differ" if apart(hits["simple"], hits["detailed"]) else "show no difference"
free = torch.equal(drawn["simple"], drawn["a negative that names no digit"])
Markdown(
    f"The simple and the detailed prompt {verdict}. "
    + (
        '"The background" names no digit, so it gives the same pictures as the empty prompt. '
        * free
    )
    + "({} stands for the digit's name. "
    + f"All rows use cfg {mild:g} and {usual} DDIM steps.) {run_label}"
)

# %% [markdown]
# A detailed prompt helps a model that knows many things to find what you mean. Ours knows ten
# things, and one word is enough. The last two rows deserve a closer look. If both texts are the
# same, both predictions are the same. Their difference is zero for every cfg, so there is no
# guidance. And a digit that is given only as the *negative* is pushed away. Hardly any sample is
# read as this digit, fewer than the tenth that chance would give.
#
# ## cfg and steps
#
# These are the two numbers that everybody changes. (The report's own model had no guidance.) The
# noise is the same in every block:

# %%
CFG, STEPS = (1.0, 3.0, 8.0), (few, usual, many)
turned = {
    (cfg, steps): ten_digits(with_inputs(basic, "6", cfg=cfg, steps=steps), "{}")
    for cfg in CFG
    for steps in STEPS
}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three rows of three blocks of the digits 0 to 9. Rows: cfg 1, 3 and 8; columns: 5, 20 and 50 steps. With cfg 1 the four and the nine are hard to read, with cfg 3 all are clear, with cfg 8 strokes are bold and there are grey specks. The number of steps changes little."}, "figure": {"caption": "The digits 0 to 9 from the same noise, for each cfg and number of steps.", "name": "fig-07-cfg-steps"}}
plotting.plot_styles(
    {f"cfg {cfg:g}": [turned[cfg, steps][::per_digit] for steps in STEPS] for cfg in CFG},
    [f"{steps} steps" for steps in STEPS],
)

# %% tags=["hide-input"]
from mnistdiff.evaluation import measure

_, test = load_digits(settings, quiet=True)
real = torch.cat([test.images[test.labels == digit][:per_digit] for digit in range(10)])
measured = {at: measure(images, False) for at, images in {**turned, "real": real}.items()}
rows = []
for at, images in {**turned, "real": real}.items():
    named = ["*real digits*", ""] if at == "real" else [f"{at[0]:g}", str(at[1])]
    right = share_of(read_digits(images).digits == labels[: len(images)])
    rows.append([*named, right, f"{measured[at]['fd_ratio']:.2f}", f"{measured[at]['recall']:.2f}"])
head = ["cfg", "steps", "label accuracy, % (95 % interval)", "FD ratio", "recall"]
display(Markdown(markdown_table(head, rows)))
nearest = min(turned, key=lambda at: measured[at]["fd_ratio"])
difference = float((turned[1.0, usual] - drawn["negative: the digit itself"]).abs().mean())
Markdown(
    f"Nearest to real digits (lowest FD ratio): cfg {nearest[0]:g}, {nearest[1]} steps. At {many} "
    "steps, from cfg 1 to 8, recall (how much of the variety of real digits is covered) goes from "
    f"{measured[1.0, many]['recall']:.2f} to {measured[8.0, many]['recall']:.2f}, and the FD ratio "
    f"from {measured[1.0, many]['fd_ratio']:.2f} to {measured[8.0, many]['fd_ratio']:.2f}. Accuracy "
    "alone would hide this. Cfg 1 and the prompt as its own negative, above, differ by "
    f"{255 * difference:.2f} of 255 grey levels on average. (The FD ratio compares with real digits "
    "drawn at random. Equal shares of each digit, as here and in the last row, come nearer than "
    f"this.) {run_label}"
)

# %% [markdown]
# Stable Diffusion's usual cfg of 7 or 8 is not a law. It compensates for a model that follows its
# prompt only weakly. Ours follows its prompt well and needs little guidance.
#
# ## Guidance in a span, with stock nodes
#
# The pipeline of section 6 can guide at some timesteps only. A graph can do this too. The node
# `ConditioningSetTimestepRange` limits a conditioning to a part of the trajectory, from 0 (all
# noise) to 1 (the digit): timestep $t$ is at $1 - t / 1000$. `ConditioningCombine` joins such parts.
# Outside the span the *positive* prompt is wired as the negative too. Then both predictions are the
# same, and cfg has no effect. (Without any negative there, ComfyUI would take zeros for it.) The
# workflow `span` has these nodes. It guides with cfg 2 at the timesteps from 300 to 600:

# %%
spanned = load_workflow("span")
by_pipeline = loaded(
    "a handwritten seven",
    guidance_scale=2.0,
    guidance_span=(300, 600),
    generator=torch.Generator().manual_seed(0),
).images
gap = float((run_workflow(spanned) - by_pipeline).abs().max())
Markdown(
    f"The graph has {len(spanned)} nodes. Largest difference to the pipeline's picture in any "
    f"pixel: {gap:g}."
)

# %% [markdown]
# ## Four samplers
#
# All four use the same small number of steps. ComfyUI's `ddim` is Euler's method on the same
# timesteps, so these two names are one sampler.

# %% tags=["hide-input"]
by_sampler = {
    name: ten_digits(with_inputs(basic, "6", sampler_name=name, steps=medium, cfg=mild), "{}")
    for name in ("ddim", "euler", "dpmpp_2m", "ddpm")
}
rows = [
    [
        f"`{name}`",
        share_of(read_digits(images).digits == labels),
        f"{measure(images, False)['fd_ratio']:.1f}",
    ]
    for name, images in by_sampler.items()
]
display(
    Markdown(
        markdown_table(
            ["sampler", "label accuracy, % (95 % interval)", f"FD ratio, {medium} steps"], rows
        )
    )
)
one = "identical" if torch.equal(by_sampler["ddim"], by_sampler["euler"]) else "**different**"
Markdown(f"The pictures of `ddim` and `euler` are {one}. {run_label}")

# %% [markdown]
# ## Three LoRA styles, and two at once
#
# The report's Figure 12 shows a puppy in three styles (pixel art, detail, 3D). Our three styles are
# strokes: bold, thin, slanted. A style that is a node of the graph can be stacked: put two
# `LoraLoader` nodes in a row.


# %%
def in_styles(*styles: str) -> Graph:
    """Return the LoRA workflow with one style, or with two in a row."""
    graph = with_inputs(load_workflow("lora"), "2", lora_name=f"{styles[0]}-v1.safetensors")
    if len(styles) == 2:
        graph["9"] = deepcopy(graph["2"])
        links = {"model": ["2", 0], "clip": ["2", 1]}
        graph = with_inputs(graph, "9", lora_name=f"{styles[1]}-v1.safetensors", **links)
        graph = with_inputs(graph, "6", model=["9", 0])
        graph = with_inputs(with_inputs(graph, "3", clip=["9", 1]), "4", clip=["9", 1])
    return with_inputs(graph, "6", steps=usual, cfg=mild)


in_style = {"no LoRA": drawn["simple"]}
for styles in (("bold",), ("thin",), ("slanted",), ("bold", "slanted")):
    in_style[" + ".join(styles)] = ten_digits(in_styles(*styles), "{}")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Five rows of the digits 0 to 9 from the same noise: plain, bold, thin, slanted to the right, and both bold and slanted."}, "figure": {"caption": "Three LoRAs and a chain of two; the same noise and prompts in every row.", "name": "fig-07-styles"}}
rows = [to_signed(images[::per_digit]) for images in in_style.values()]
plotting.plot_columns(rows, [str(digit) for digit in range(10)], list(in_style))

# %% tags=["hide-input"]
from mnistdiff.experiments.styles import slant, stroke_width

rows, moved, before = [], {}, in_style["no LoRA"]
for name, images in in_style.items():
    cells = []
    for measured_by in (stroke_width, slant):
        changes = measured_by(images) - measured_by(before)  # with the same noise
        mean, error = float(changes.mean()), 2 * float(changes.std()) / len(changes) ** 0.5
        moved[name, measured_by] = (
            mean if abs(mean) > error else 0.0
        )  # 0 if the change is not clear
        value = float(measured_by(images).mean())
        cells.append(f"{value:.2f} ({mean:+.2f} ± {error:.2f})" if any(changes) else f"{value:.2f}")
    rows.append([name, *cells, share_of(read_digits(images).digits == labels)])
head = ["style", "stroke width, pixels", "slant, columns per row", "label accuracy, %"]
display(Markdown(markdown_table(head, rows)))
clear = {
    "bold": moved["bold", stroke_width] > 0,
    "thin": moved["thin", stroke_width] < 0,
    "slanted": moved["slanted", slant] > 0,
}
both = moved["bold + slanted", stroke_width] > 0 and moved["bold + slanted", slant] > 0
unclear = [name for name in clear if not clear[name]]
Markdown(
    "In brackets: the change by the LoRA, with twice its standard error. The change is clear for: "
    + (", ".join(name for name in clear if clear[name]) or "none")
    + (f"; it is not clear for: {', '.join(unclear)}. " if unclear else ". ")
    + f"The chain of two {'changes' if both else 'does **not** change'} both measures. {run_label}"
)

# %% [markdown]
# ## Stable Diffusion 1.5: what the report found
#
# The report's own pictures came from ComfyUI with Stable Diffusion 1.5 (`v1-5-pruned`) and a 1.0
# base model. These are its findings, each judged by eye from single pictures. The weights have 4 GB
# and are not part of this course.
#
# | report | asked | drawn |
# |---|---|---|
# | Figure 10a | "0,1,2,3,4,5,6,7,8,9"; negative "blurry, unclear, other digits" | a car |
# | Figure 10b | 8 x 10 digits, described at length; negative: everything that is not a number | digits, in a wrong arrangement |
# | Figure 10c | the same with a LoRA | the arrangement, not the digits |
# | Figure 11 | a puppy | a puppy |
# | Figure 12 | a puppy with one of three LoRAs | pixel art, more detail, 3D |
#
# If you have the weights, you can repeat the experiments: `load_workflow("sd15_basic")` and
# `load_workflow("sd15_lora")` are the same two graphs for the real model, with the report's
# prompts. The others are `sd15_figure_10b`, `sd15_figure_10c`, `sd15_figure_11`, and
# `sd15_figure_12_pixel_art`, `_detail` and `_3d`. (The report does not name its LoRA files. Write
# the names of yours.) You can check that the basic graphs are the same:

# %% tags=["hide-input"]
rows, theirs = [], load_workflow("sd15_basic")
for name, node in basic.items():
    other = theirs[name]
    if node["class_type"] != other["class_type"]:
        rows.append([f"node {name}", f"`{node['class_type']}`", f"`{other['class_type']}`"])
        continue
    for field, value in node["inputs"].items():
        if value != other["inputs"][field]:
            where = f"`{node['class_type']}`, {field}"
            rows.append([where, f"{value!r}", f"{other['inputs'][field]!r}"])
display(Markdown(markdown_table(["what differs", "tiny-mnist-sd", "Stable Diffusion 1.5"], rows)))
links = [plotting.links(one) for one in (basic, theirs)]
Markdown(
    f"{len(basic)} and {len(theirs)} nodes, {len(links[0])} and {len(links[1])} links: the wiring is "
    + ("the same." if links[0] == links[1] else "**not** the same.")
)

# %% [markdown]
# ## In the real program
#
# If ComfyUI (0.3.23 or later) is on your machine (`git clone`, then its own `requirements.txt`; it
# runs on a CPU), the Python that runs it needs this course's package. Install it there, link the
# node pack into ComfyUI, and start it:
#
# ```
# python -m pip install git+https://github.com/mnistdiff/mnistdiff
# mnistdiff comfyui install path/to/ComfyUI
# python path/to/ComfyUI/main.py --cpu
# ```
#
# Its workflows are then among the templates (*Workflow > Browse Templates > mnistdiff-nodes*), and
# every edit of this section is a click. There they have two more nodes, which show the digit ten
# times as large. `mnistdiff comfyui uninstall path/to/ComfyUI` removes the pack.
#
# ComfyUI has some forty samplers and nine schedulers. The results page shows what each sampler
# draws. With 20 steps, cfg 3 and the scheduler `simple`, all of them draw digits. The loader's
# description names the pairs of sampler and scheduler that do not. Weights in a prompt, such as
# `(seven:1.2)`, have no effect on our model: a whole prompt becomes one vector.
#
# The program is also a server: you can send it the graph that ran above.

# %%
import os

server = os.environ.get("COMFYUI_SERVER", "")  # such as http://127.0.0.1:8188
if server:
    sent = run_workflow(basic, server=server)
    gap = float((sent - by_graph).abs().mean())
    print(f"ComfyUI at {server} draws a picture; mean difference from ours: {255 * gap:.2f} of 255")
else:
    print("To send this graph to a running ComfyUI, set COMFYUI_SERVER to its address.")

# %% [markdown]
# ComfyUI writes pictures with 256 grey levels. It cuts where we round, so a saved picture can
# differ from ours by one level (the results page measures both programs). One rule depends on its
# version. For the steps of `ddpm`, ComfyUI 0.3.64 takes the noise from the same seed as for the
# start. Newer versions take it from the next seed on a CPU, as we do. Another seed gives another
# picture of the same kind.
#
# ## Exercise 3: a script or a graph?
#
# In 150 to 250 words, answer these questions from this section and the one before:
#
# 1. Name the four stages from a prompt to a picture. For each stage, give the node and the line of
#    code.
# 2. What can you change in an open graph without programming? Name three things. Name two more
#    things that were fixed in training, and that neither a graph nor a script can change.
# 3. What did a *script* do in this section that the page cannot do? Give an example with a number.
# 4. The report's prompt "0,1,2,…" drew a car, and its reason was that "ComfyUI is based on natural
#    datasets". What is the real cause, how does our model answer the same prompt, and what would
#    you do?
#
# *How it is marked (5 points): one point for each of the first three answers, two for the fourth.
# An example from your own run counts more than a general remark.*

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain_comfyui", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. The text becomes an embedding: `CLIPTextEncode`, `encode_prompts`. Noise is drawn:
#    `EmptyLatentImage` with the sampler's seed, `torch.randn`. The noise is removed step by step,
#    guided by the embedding: `KSampler`, `sample_ddim` with guidance. The latent is decoded:
#    `VAEDecode`, `vae.decode`. (Text, denoising, decoding and saving or loading as four stages is
#    also right.)
# 2. In the graph: prompt and negative prompt, steps, cfg, seed, sampler, strength of a LoRA, the
#    wiring itself. Fixed by training: which digits (or natural pictures) the network has seen, its
#    vocabulary, the size of the latent, the autoencoder, the noise schedule.
# 3. It repeats and measures. One graph ran for all ten digits, with many noises each, under nine
#    settings of cfg and steps, and gave an accuracy with an interval. It also put 80 digits into
#    columns. A page shows one picture at a time, and judging single pictures by eye gave the "60
#    %". A script can be tested, and read as equations.
# 4. The program only runs the graph; the same nodes draw our digits. The *model* was trained on
#    photographs and captions, where this text hardly occurs. Ours refuses: the prompt names ten
#    digits, and the model draws one. So take a model that was trained on digits (or train a LoRA on
#    them), ask for one digit at a time, and arrange the digits with a program.
#
# **Rubric (5 points)**
#
# - 1: four stages in order, each with its node and a function (half if one of the two is missing).
# - 1: three things that can be changed in the graph and two fixed by training, none in the wrong
#   list.
# - 1: repetition, measurement, arrangement or testing, with the student's own number.
# - 1: the cause is the training data of the model, not the program, with a reason (for example that
#   our model runs in the same program).
# - 1: how our model answers (a sentence that it draws one digit), and a remedy that would work:
#   other training data or a LoRA, one digit per run.
# - "A graph is easier" or "a script is faster" without an example earns nothing.
# ### END SOLUTION

# %% [markdown]
# ## What to take away
#
# - A diffusion program is a graph of a few functions, and you have written the important ones.
# - The data decided in training what a model can draw. Prompts, cfg, steps and LoRAs only choose
#   from this.
# - A picture shows that something is possible, and a measurement shows how often. Keep both.
#
# That is the end of the course. Take the tiny model with you: it fits in an e-mail.
