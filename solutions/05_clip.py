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
# # 5. CLIP: digits and words in one space
#
# *Needs: CPU, about 2 minutes.*
#
# The model of section 4 draws digits, but chance decides which digit. To ask for a digit in words,
# we must turn "a handwritten seven" into numbers that a noise predictor can take as input. Any
# numbers would do, but some are better than others: a vector that lies *close to the images that
# the prompt describes*. CLIP learns these vectors ([Radford et al.,
# 2021](https://arxiv.org/abs/2103.00020)). It has one encoder for images, one for text, and a loss
# that pulls matching pairs together. Section 6 gives the text encoder's vector to the noise
# predictor, as Stable Diffusion does.

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
# - write CLIP's symmetric contrastive loss, and say what each half of it asks;
# - classify digits with sentences alone, and say how certain the measured accuracy is;
# - explain what a false negative is, and what it costs;
# - find the fault in a model whose training looks perfect but whose zero-shot accuracy is at
#   chance.

# %%
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnistdiff.course.expect import as_number, expect, on_copies, require_gradients

# %% tags=["hide-input"]
# %matplotlib inline
from IPython.display import Markdown, display

from mnistdiff import plotting
from mnistdiff.experiments import get_profile, load_digits, markdown_table, percent

settings = get_profile(profile)
train, test = load_digits(settings)
small_epochs = max(settings.text.clip_epochs // 2, 1)  # of the small models below

run_label = (
    f"*{settings.name.capitalize()} profile: {len(train.images):,} training digits "
    f"({train.source} MNIST); epochs: {settings.text.clip_epochs} for CLIP, {small_epochs} for the "
    f"small models; measured on {len(test.images):,} test digits, one seed.*"
)
Markdown(run_label)

# %% [markdown]
# ## Prompts and tokens
#
# The report's CLIP has no text encoder. It learns **one vector per label**, a table of ten rows.
# This is enough for "7" and for nothing else: if you type "a seven, please draw it by hand",
# somebody must first translate it into a row of the table. Our CLIP reads words. Its vocabulary is
# small and documented: the ten digits as figures and as words, and some neutral words. A prompt
# becomes a row of token numbers, with an end token after the last word.

# %%
from mnistdiff.prompts import VOCABULARY, digit_in, tokenize

examples = ["7", "seven", "a handwritten seven", "Photo of the digit 7!", ""]
rows = []
for prompt in examples:
    digit = digit_in(prompt)
    tokens = tokenize([prompt])[0].tolist()
    rows.append([f'"{prompt}"', "none" if digit is None else str(digit), f"`{tokens}`"])
table = markdown_table(["prompt", "names the digit", "tokens"], rows)
display(Markdown(table.replace("---:", ":---")))
print(f"{len(VOCABULARY)} tokens:", " ".join(VOCABULARY))

# %% [markdown]
# The empty prompt is only an end token and asks for no digit. A word that the model never saw has
# no vector, and a guessed vector would be misleading. So the tokenizer raises an error with an
# explanation:

# %%
from mnistdiff.errors import MnistdiffError

for prompt in ("a cheerful seven", "a seven or a nine"):
    try:
        tokenize([prompt])
    except MnistdiffError as error:
        print(f"MnistdiffError: {error}\n")

# %% [markdown]
# Training does not show the same sentence for a digit again and again. It picks a random template,
# or puts neutral words in any order around the digit. So the digit is the only thing that a prompt
# has in common with its image. Some templates are **held out**: we keep them for the measurements
# below.

# %%
from mnistdiff.prompts import HELD_OUT_TEMPLATES, prompts_for, random_prompt

generator = torch.Generator().manual_seed(0)
print("training: ", *(f"{random_prompt(7, generator)!r}" for _ in range(4)), sep="\n  ")
print(
    "held out: ", *(f"{prompt!r}" for prompt in prompts_for(7, HELD_OUT_TEMPLATES)[:4]), sep="\n  "
)

# %% [markdown]
# ## Two encoders
#
# The image encoder has three convolutions. The text encoder is a small *causal* transformer: each
# word sees itself and the words before it. The state at the end token has therefore read the whole
# prompt, and this state becomes the embedding. Both encoders end in a linear layer with the same
# number of outputs.

# %% tags=["hide-input"]
from mnistdiff.clip import CLIP

untrained = CLIP()
sizes = [
    [
        "image encoder",
        "(B, 1, 28, 28)",
        sum(p.numel() for p in untrained.image_encoder.parameters()),
    ],
    ["text encoder", "(B, words)", sum(p.numel() for p in untrained.text_encoder.parameters())],
    ["the report's table of label vectors", "(B,)", 10 * untrained.config.embed_dim],
]
rows = [
    [name, goes_in, f"(B, {untrained.config.embed_dim})", f"{count:,}"]
    for name, goes_in, count in sizes
]
Markdown(markdown_table(["", "input", "output", "parameters"], rows))

# %% [markdown]
# ## Exercise 1: the contrastive loss
#
# A batch has $B$ pairs: image $i$ has the embedding $u_i$, and its prompt has the embedding $v_i$.
# Only the *directions* matter, so we compare by cosine and multiply by a factor $a$, the
# `logit_scale`:
#
# $$ s_{ij} = a \, \frac{u_i \cdot v_j}{\lVert u_i \rVert \, \lVert v_j \rVert} $$
#
# Now ask two questions about this $B \times B$ table. Along each **row**: which of the $B$ prompts
# belongs to image $i$? Down each **column**: which of the $B$ images belongs to prompt $j$? Each
# question is a classification with $B$ classes, and the right answer is on the diagonal. The loss
# is the mean of both:
#
# $$ L = \frac{1}{2B} \sum_{i=1}^{B} \left[ -\log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
# \;-\; \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}} \right] $$
#
# <details><summary>Hint</summary>
#
# First turn every embedding, which is a *row* of its matrix, into a unit vector. The table of all
# cosines is then one matrix product. Both fractions are softmaxes, so both terms are
# cross-entropies, and torch has a function for them. The logits are the table for one question and
# its transpose for the other. What is the number of the right class in row $i$?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "contrastive_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def contrastive_loss(image_emb: Tensor, text_emb: Tensor, logit_scale: Tensor | float) -> Tensor:
    """Return CLIP's loss: each image must find its text in the batch, and each text its image.

    image_emb, text_emb: (B, E), not yet normalised; row i of one belongs to row i of the other;
    logit_scale: multiplies the cosine similarities. Returns a scalar.
    """
    ### BEGIN SOLUTION
    similarity = logit_scale * F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    target = torch.arange(len(similarity), device=similarity.device)
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_contrastive_loss", "locked": true, "schema_version": 3, "solution": false, "task": false}
image_emb = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, -2.0]])  # three pairs, in two dimensions
text_emb = torch.tensor([[0.0, 1.0], [2.0, 2.0], [-1.0, 1.0]])
scale = torch.tensor(3.0)
causes = {
    "the embeddings are not normalised: divide each by its length": 12.6166,
    "the image embeddings are not normalised": 3.8192,
    "the text embeddings are not normalised": 2.1590,
    "you normalised over the batch; each row must have length 1 (dim=1)": 1.7945,
    "you divided by a sum of absolute values; a length is the root of the sum of squares": 0.7769,
    "only images look for their texts; let texts look for their images too (the transpose)": 0.6916,
    "only texts look for their images; let images look for their texts too": 1.3305,
    "the two directions are added; take their mean": 2.0221,
    "you summed over the batch; take the mean": 3.0331,
    "you divided by logit_scale; multiply the cosines by it": 1.0075,
    "use logit_scale as it is given; do not take its exponential": 4.5432,
    "logit_scale is not used": 0.9092,
    "cross_entropy applies the softmax itself; give it the similarities": 0.9986,
    "these are the probabilities; the logarithm is missing": -0.4865,
    "the sign is wrong; a cross-entropy is never negative": -1.0110,
    "each pair is judged alone; each row is one choice among all B texts (a softmax)": 0.8167,
    "only the diagonal is used; the other pairs belong in the softmax's denominator": -0.8000,
    "you summed over the batch and over both directions; take the means": 6.0662,
    "the softmax runs over the whole table; use one per row and one per column": 2.9327,
    "logit_scale multiplies the cosines, not the loss": 2.7275,
    "logit_scale is applied twice": 2.1443,
    "the right class of row i is i, the diagonal, not the largest entry": 0.3504,
    "the right class of row i is i: use torch.arange, not zeros": 0.9453,
    "you averaged over all B x B entries; average over the B rows of each direction": 0.3370,
    "you divided by 2 once too often; each direction counts one half": 0.5055,
    "the similarities are negated; the match has the largest one": 3.0786,
    "the two directions are multiplied; take their mean": 0.9202,
    "the match is missing from the softmax's denominator": 0.0182,
    "the logarithm of the probability is missing": 0.5135,
    "use cross_entropy, not a squared error": 4.44,
}
causes |= {
    f"CLIP's loss has no label smoothing (here {share})": value
    for share, value in (
        (0.01, 1.0206),
        (0.05, 1.0591),
        (0.1, 1.1071),
        (0.2, 1.2032),
        (0.3, 1.2993),
    )
}
found = on_copies(contrastive_loss, image_emb, text_emb, scale)
about = "The loss is a scalar: the mean over the batch and over both directions."
rule = (
    "the loss is the mean of two cross-entropies, of the rows and of the columns of logit_scale * "
    "cosines, where the right class of row i is i"
)
expect("the loss", found, 1.0110, causes, about, rule)

found = on_copies(contrastive_loss, 10 * image_emb, text_emb / 10, scale)
rule = "the lengths of the embeddings must not matter: divide each row by its own norm"
expect("the loss of longer and shorter embeddings", found, 1.0110, {}, about, rule)
found = on_copies(contrastive_loss, image_emb, text_emb, 100.0)
overflow = (
    f"at logit_scale 100 the loss is {found}: exp overflows; use cross_entropy, which does not"
)
assert torch.as_tensor(found).isfinite(), overflow

inputs = {"image_emb": image_emb, "text_emb": text_emb, "logit_scale": scale}
loss = on_copies(contrastive_loss, *(value.requires_grad_() for value in inputs.values()))
require_gradients(loss, **inputs)
print("contrastive_loss: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_contrastive_loss", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("contrastive_loss", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Your loss trains a small CLIP for a few seconds. Before training, every prompt is
# about equally close to every digit. After training, the diagonal is bright: each name is closest
# to the images of its digit.

# %%
from mnistdiff import training
from mnistdiff.clip import CLIP, CLIPConfig

SMALL = CLIPConfig(embed_dim=32, channels=(8, 16, 16), text_width=32, text_layers=1)
generator = torch.Generator().manual_seed(0)
mixed_prompts = [[random_prompt(digit, generator) for _ in range(32)] for digit in range(10)]


def train_small(loss, prompts: list[list[str]], masked: bool) -> tuple[CLIP, list[float]]:
    """Train a small CLIP; return it and its mean loss per epoch.

    prompts[d]: the prompts of label d; masked: whether `loss` gets the mask of equal labels.
    """
    tokens = tokenize([prompt for of_label in prompts for prompt in of_label]).unflatten(
        0, (10, -1)
    )

    def batch_loss(model: CLIP, images: Tensor, labels: Tensor, generator) -> dict[str, Tensor]:
        which = torch.randint(tokens.shape[1], (len(labels),), generator=generator)
        same = {"same": labels[:, None] == labels} if masked else {}
        text_emb = model.encode_text(tokens[labels, which])
        return {"total": loss(model.encode_image(images), text_emb, model.logit_scale, **same)}

    training.seed_everything(0)
    clip = CLIP(SMALL)
    config = training.TrainConfig(small_epochs, 128, 3e-3, cosine_decay=True)
    run = training.train(clip, batch_loss, (train.images, train.labels), config)
    means = [step.epoch_means["total"] for step in run if step.epoch_means]
    return clip.eval(), means


@torch.no_grad()
def unit_embeddings(clip: CLIP, images: Tensor) -> Tensor:
    """Return the embeddings of images as unit vectors, (N, E)."""
    parts = [F.normalize(clip.encode_image(part), dim=1) for part in images.split(500)]
    return torch.cat(parts)


def similarity(clip: CLIP, texts: Tensor) -> Tensor:
    """Return the cosine of each digit's text (row) with each mean test image, (10, 10)."""
    image_units = unit_embeddings(clip, test.images)
    means = torch.stack([image_units[test.labels == digit].mean(dim=0) for digit in range(10)])
    return F.normalize(texts, dim=1) @ F.normalize(means, dim=1).T


# %% mystnb={"image": {"alt": "Two tables of ten names by ten digits, coloured by cosine: no pattern before training, a bright diagonal after it."}, "figure": {"caption": "How close each name is to the images of each digit, before and after a few seconds of training with your loss.", "name": "fig-05-yours"}}
from mnistdiff.experiments import class_embeddings
from mnistdiff.prompts import DIGIT_NAMES, TEMPLATES

training.seed_everything(0)
fresh = CLIP(SMALL).eval()
tables = {"before": similarity(fresh, class_embeddings(fresh, TEMPLATES))}
try:
    yours, means = train_small(contrastive_loss, mixed_prompts, masked=False)
    tables["after"] = similarity(yours, class_embeddings(yours, TEMPLATES))
    print(f"mean loss: {means[0]:.2f} in the first epoch, {means[-1]:.2f} in the last")
except Exception as error:  # an unfinished cell must not stop the notebook
    print(f"Not yet ({type(error).__name__}: {error}).")
    print("Finish the cell above, then run this one again.")
plotting.plot_similarity(tables, DIGIT_NAMES, (-1.0, 1.0))

# %% [markdown]
# ## False negatives: the same digit twice
#
# Why does your loss stop so far from zero? Look at a batch. The loss treats every pair off the
# diagonal as *wrong*. But a batch of 128 images contains each digit about a dozen times. The prompt
# "a handwritten seven" of one pair describes the image of another pair just as well. Pushing these
# two apart punishes the model for being right. On the Web, two images in a batch rarely share a
# caption, and CLIP ignores the problem. With ten classes we cannot ignore it.

# %% tags=["hide-input"]
labels = train.labels[torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(0))]
labels = labels[:128]
same = labels[:, None] == labels
twins, pairs = int(same.sum()) - len(labels), len(labels) * (len(labels) - 1)
floor = float(same.sum(dim=1).double().log().mean())
Markdown(
    f"In one batch of {len(labels)}, {twins:,} of the {pairs:,} pairs off the diagonal "
    f"({twins / pairs:.0%}) are false negatives. Even a model that reads every digit can only "
    "spread its probability evenly over all prompts of that digit. So its loss cannot fall below "
    "the mean of $\\log n_i$, where $n_i$ is how often the digit of pair $i$ occurs in the batch: "
    f"**{floor:.2f}**."
)

# %% [markdown]
# The remedy is to tell the loss which pairs off the diagonal belong together. It then leaves them
# out of both softmaxes: they count neither as right nor as wrong. The library's loss takes a mask
# for this, `same`, which is true where two labels of the batch agree. (Real data have no labels of
# this kind. There, one removes duplicate captions, or counts every caption that fits as right, as
# [Khosla et al., 2020](https://arxiv.org/abs/2004.11362) do.) Here are two small models that differ
# only in the mask:

# %%
from mnistdiff.clip import contrastive_loss as library_contrastive_loss

plain, plain_means = train_small(library_contrastive_loss, mixed_prompts, masked=False)
masked, masked_means = train_small(library_contrastive_loss, mixed_prompts, masked=True)


# %% tags=["hide-input"]
from mnistdiff.clip import zero_shot_accuracy as library_zero_shot_accuracy
from mnistdiff.metrics import wilson_interval


def shares(image_units: Tensor, texts: Tensor, labels: Tensor = test.labels) -> tuple[float, str]:
    """Return the zero-shot accuracy, also as text: in percent with its Wilson interval."""
    share = library_zero_shot_accuracy(image_units, texts, labels)
    return share, percent(share, wilson_interval(round(share * len(labels)), len(labels)))


def closeness(image_units: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the mean cosine of two images of the same digit, and of different digits."""
    together = labels[:, None] == labels
    alone = torch.eye(len(image_units), dtype=torch.bool)
    cosines = image_units @ image_units.T
    return float(cosines[together & ~alone].mean()), float(cosines[~together].mean())


apart, rows = {}, []
for name, small, means in (("all", plain, plain_means), ("masked", masked, masked_means)):
    image_units = unit_embeddings(small, test.images)
    near, far = closeness(image_units[:1_000], test.labels[:1_000])
    apart[name] = near - far
    accuracy = shares(image_units, class_embeddings(small, HELD_OUT_TEMPLATES))[1]
    scale = f"{float(small.logit_scale.detach()):.1f}"
    rows.append([name, f"{means[-1]:.2f}", scale, f"{near:.2f}", f"{far:.2f}", accuracy])
head = ["negatives", "loss, last epoch", "logit scale", "image cosine, same digit"]
head += ["image cosine, different digits", "zero-shot accuracy, %"]
display(Markdown(markdown_table(head, rows)))
reason = "After this short training, the two models hardly differ."
if apart["masked"] > apart["all"]:
    reason = (
        "Without the mask, the prompts of an image's own digit take up most of the softmax. The "
        "loss pushes them away in vain, and little of its push is left for the other digits."
    )
display(
    Markdown(
        f"The two losses cannot be compared: the first has a floor near {floor:.2f}, the second "
        f"near 0. The cosines can be compared. The gap between images of the same digit and of "
        f"different digits is {apart['all']:.2f} without the mask and {apart['masked']:.2f} with "
        f"it. Only the mask has changed. {reason}"
    )
)
Markdown(run_label)

# %% [markdown]
# ## The full CLIP
#
# From here on we use the library's CLIP. It is larger and was trained with the mask for longer. Its
# training is cached.

# %%
from mnistdiff.experiments import fit_clip

clip, fit = fit_clip(settings)

# %% tags=["hide-input"]
first, last = fit.history[0]["total"], fit.history[-1]["total"]
start, end = float(untrained.logit_scale.detach()), float(clip.logit_scale.detach())
held_out = class_embeddings(clip, HELD_OUT_TEMPLATES)


def surest(scale: float, pairs: int = 128) -> float:
    """Return the softmax of a cosine of 1 when all other cosines are 0."""
    return math.exp(scale) / (math.exp(scale) + pairs - 1)


display(
    Markdown(
        f"The loss falls from {first:.2f} in the first epoch to {last:.3f} in the last. The "
        f"**logit scale** is also learned: it starts at 1 / 0.07 = {start:.1f} and ends at "
        f"{end:.1f}. Why is it needed? At scale 1, a cosine of 1 among 127 cosines of 0 gives a "
        f"softmax of only {surest(1.0):.1%}, so the loss would always stay high. At scale "
        f"{start:.1f} it gives {surest(start):.2%}. The scale is stored as a logarithm, so that it "
        "stays positive, and it is capped at 100."
    )
)
Markdown(run_label)

# %% mystnb={"image": {"alt": "A table of ten names by ten digits, coloured by cosine, with a bright diagonal."}, "figure": {"caption": "Cosines between the prompts of each digit, in phrasings that training never used, and the mean image of each digit.", "name": "fig-05-similarity"}}
matrix = similarity(clip, held_out)
plotting.plot_similarity({"held-out phrasings": matrix}, DIGIT_NAMES, (-1.0, 1.0))

# %% tags=["hide-input"]
off = matrix.masked_fill(torch.eye(10, dtype=torch.bool), -2)
row, column = divmod(int(off.argmax()), 10)
Markdown(
    f"On the diagonal, the cosines lie between {float(matrix.diagonal().min()):.2f} and "
    f"{float(matrix.diagonal().max()):.2f}. The largest cosine off the diagonal is "
    f"{float(off.max()):.2f}, between the prompts for *{DIGIT_NAMES[row]}* and the images of "
    f"{column}. {run_label}"
)

# %% [markdown]
# ## Exercise 2: zero-shot accuracy
#
# CLIP can classify images without being trained on the classes. Write one text per class, embed the
# texts, and give each image the class of the text that is closest by cosine:
#
# $$ \hat y_i = \operatorname*{arg\,max}_{k} \;
# \frac{u_i \cdot v_k}{\lVert u_i \rVert \, \lVert v_k \rVert}, \qquad
# \text{accuracy} = \frac1N \sum_{i=1}^{N} [\hat y_i = y_i] $$
#
# The number of texts $K$ can differ from 10 and from the number of images.
#
# <details><summary>Hint</summary>
#
# Use the same table of cosines as above, now of shape (N, K), and find the largest entry of each
# row. You can leave out one of the two lengths without changing the answer: which one? The other
# length matters, because a long text vector would win everywhere.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "zero_shot_accuracy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def zero_shot_accuracy(image_emb: Tensor, text_emb: Tensor, labels: Tensor) -> float:
    """Return the share of images whose closest text, by cosine, is the text of their label.

    image_emb: (N, E), text_emb: (K, E), neither normalised; labels: (N,) integers, each the row of
    the right text. Returns a float in [0, 1].
    """
    ### BEGIN SOLUTION
    cosines = F.normalize(image_emb, dim=1) @ F.normalize(text_emb, dim=1).T
    return (cosines.argmax(dim=1) == labels).double().mean().item()
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_zero_shot_accuracy", "locked": true, "schema_version": 3, "solution": false, "task": false}
image_emb = torch.tensor([[2.0, -1.0], [-2.0, 3.0], [3.0, 2.0], [2.0, -2.0], [-3.0, 4.0]])
text_emb = torch.tensor([[-1.0, 1.0], [0.0, 12.0], [-1.0, -1.0]])  # the second is much longer
about = "One number: the mean over the images. Find the closest text for each image (dim=1)."


def share_of(text_emb: Tensor, labels: list[int]) -> object:
    """Call zero_shot_accuracy with the first images, one for each label."""
    images = image_emb[: len(labels)]
    return as_number(on_copies(zero_shot_accuracy, images, text_emb, torch.tensor(labels)))


unit = F.normalize(text_emb, dim=1)
causes = {
    "no image counts as right: compare each image's argmax (not argmin) over dim=1 with its label, "
    "and do not round the share": 0.0,
    "this is the number of right answers; divide it by the number of images": 4.0,
    "this is the number of right answers, divided by the number of texts": 1.3333,
    "this is in percent; a share lies between 0 and 1": 80.0,
    "this is the share of wrong answers; count the right ones": 0.2,
}
rule = "four of the five images pick the text of their label, by argmax of the cosine over dim=1"
found = share_of(unit, [2, 0, 1, 2, 1])
expect("the share of five images, with texts of length 1", found, 0.8, causes, about, rule)
rule = "all three images pick the text of their label, by argmax of the cosine over dim=1"
expect("the share when all three are right", share_of(unit, [2, 0, 1]), 1.0, {}, about, rule)
rule = "no image picks the text of its label: the labels decide which picks are right"
expect("the share when all three are wrong", share_of(unit, [1, 2, 0]), 0.0, {}, about, rule)
rule = (
    "compare by cosine: the length of a text must not matter, so divide each row by its own norm "
    "(F.normalize, dim=1)"
)
found = share_of(text_emb, [2, 0, 1, 2, 1])
expect("the share of five images, with one long text", found, 0.8, {}, about, rule)
print("zero_shot_accuracy: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_zero_shot_accuracy", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("zero_shot_accuracy", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Your function and the library's give the same accuracy for the trained CLIP. The
# table then asks about the same images in different words. Where a digit has several prompts, their
# directions are averaged. The last row is a control that must fail: the same predictions with
# shuffled labels.

# %%
with torch.no_grad():
    image_emb = clip.encode_image(test.images)
try:
    print(f"yours:         {zero_shot_accuracy(image_emb, held_out, test.labels):.3f}")
except Exception as error:  # an unfinished cell must not stop the notebook
    print(f"Not yet ({type(error).__name__}: {error}).")
print(f"the library's: {library_zero_shot_accuracy(image_emb, held_out, test.labels):.3f}")

# %% tags=["hide-input"]
with torch.no_grad():
    figures = clip.encode_text([str(digit) for digit in range(10)])
    letters = clip.encode_text(DIGIT_NAMES)
image_units = unit_embeddings(clip, test.images)
each = {template: class_embeddings(clip, (template,)) for template in HELD_OUT_TEMPLATES}
worst = min(each, key=lambda template: shares(image_units, each[template])[0])
asked = {
    'a figure: "7"': (figures, 1),
    'a word: "seven"': (letters, 1),
    "all training phrasings": (class_embeddings(clip, TEMPLATES), 2 * len(TEMPLATES)),
    "**held-out phrasings**": (held_out, 2 * len(HELD_OUT_TEMPLATES)),
    f'the worst of them: "{worst.format("…")}"': (each[worst], 2),
}
rows = [[name, str(count), shares(image_units, texts)[1]] for name, (texts, count) in asked.items()]
order = torch.randperm(len(test.labels), generator=torch.Generator().manual_seed(0))
rows.append(["chance: shuffled labels", "", shares(image_units, held_out, test.labels[order])[1]])
display(Markdown(markdown_table(["asked with", "prompts per digit", "accuracy, %"], rows)))
Markdown(
    "A table of ten label vectors has a row only for the first of these phrasings. The text "
    f"encoder also reads sentences that did not occur in its training. {run_label}"
)

# %% [markdown]
# ## Retrieval in both directions
#
# Images and prompts share one space, so we can search from either side. **From an image:** which of
# all held-out prompts describes it best? Below are the four test digits of which CLIP is most
# certain, and the four of which it is least certain. Next to each digit are its best prompt and the
# best prompt for *another* digit.


# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight digits with the nearest prompts written beside each: four clear ones on the left, four unusual ones on the right."}, "figure": {"caption": "From an image to prompts: the most certain on the left, the least certain on the right. The numbers are cosines.", "name": "fig-05-image-to-text"}}
prompts = [prompt for digit in range(10) for prompt in prompts_for(digit, HELD_OUT_TEMPLATES)]
named = torch.tensor([digit_in(prompt) for prompt in prompts])
with torch.no_grad():
    text_units = F.normalize(clip.encode_text(prompts), dim=1)
cosines = image_units @ text_units.T  # (N, prompts)
best = cosines.argmax(dim=1)
others = cosines.masked_fill(named[best][:, None] == named, -2)
second = others.argmax(dim=1)
margin = cosines.max(dim=1).values - others.max(dim=1).values


def caption(index: int) -> str:
    """Return an image's label, its best prompt, and the best prompt for another digit."""
    lines = [f"label {test.labels[index]}"]
    lines += [f"{cosines[index, k]:.2f}  {prompts[k]}" for k in (best[index], second[index])]
    return "\n".join(lines)


ranked = margin.argsort().tolist()
surest_of, picked = {}, []  # one image per digit on the certain side, for variety
for index in reversed(ranked):
    surest_of.setdefault(int(test.labels[index]), index)
picked = list(surest_of.values())[:4] + ranked[:4]
plotting.plot_prompts_of_images(test.images[picked], [caption(index) for index in picked])

# %% [markdown]
# **From a prompt:** which test digits are nearest to it?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Ten rows of digits; each row shows the test digits nearest to the prompt written before it."}, "figure": {"caption": "From a prompt to images: the test digits nearest to each prompt, the nearest first.", "name": "fig-05-text-to-image"}}
words = [HELD_OUT_TEMPLATES[digit % len(HELD_OUT_TEMPLATES)] for digit in range(10)]
queries = [template.format(DIGIT_NAMES[digit]) for digit, template in enumerate(words)]
with torch.no_grad():
    asked_for = F.normalize(clip.encode_text(queries), dim=1)
nearest = (asked_for @ image_units.T).topk(12, dim=1).indices
plotting.plot_images_of_prompts(queries, test.images[nearest])

# %% tags=["hide-input"]
hits = int((named[best] == test.labels).sum())
found = (
    test.labels[(text_units @ image_units.T).topk(12, dim=1).indices] == named[:, None]
).double()
Markdown(
    f"For {hits:,} of {len(test.labels):,} images ({hits / len(test.labels):.1%}) the nearest of "
    f"all {len(prompts)} held-out prompts names the right digit. In the other direction, "
    f"{float(found.mean()):.1%} of the 12 images nearest to a prompt show the digit that it names, "
    f"averaged over the {len(prompts)} prompts. {run_label}"
)

# %% [markdown]
# ## A map of the space
#
# The map shows the embeddings of both encoders, as unit vectors, on their common principal
# components. Two dimensions cannot show ten groups that are all far from each other, so here are
# four.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two scatter plots of small points, one colour and shape per digit, with larger outlined markers near the groups."}, "figure": {"caption": "Images (small) and prompts (large, outlined), one colour and marker per digit, on four principal components.", "name": "fig-05-map"}}
plotting.plot_map((image_units, test.labels), (text_units, named))

# %% tags=["hide-input"]
gap = float((image_units.mean(dim=0) - text_units.mean(dim=0)).norm())
spread = torch.stack([text_units[named == digit].std(dim=0).norm() for digit in range(10)]).mean()
cloud = torch.stack(
    [image_units[test.labels == digit].std(dim=0).norm() for digit in range(10)]
).mean()
Markdown(
    f"The twelve prompts of a digit lie close together (spread {float(spread):.2f}). Its images "
    f"form a wider cloud (spread {float(cloud):.2f}): the text says which digit it is, not how it "
    "is written. In section 6, the prompt will therefore decide the digit, and the noise "
    f"everything else. The centres of all images and of all prompts are {gap:.2f} apart. In CLIPs "
    "trained on the Web, the two groups do not even overlap. This is the *modality gap* of [Liang "
    "et al., 2022](https://arxiv.org/abs/2203.02053)."
)

# %% [markdown]
# ## Diagnosis: a CLIP that looks perfect
#
# A colleague trained a small CLIP on the same digits with the same masked loss, and only wrote the
# prompts in a new way. The loss fell as it should, but the zero-shot accuracy is at chance. Below
# are the cell and its measurements. **Read the three symptoms first**, and decide what they rule
# out, before you look for the faulty line.

# %%
classes = sorted(DIGIT_NAMES)
their_prompts = [[template.format(name) for template in TEMPLATES] for name in classes]
theirs, their_means = train_small(library_contrastive_loss, their_prompts, masked=True)


# %% tags=["hide-input"]
@torch.no_grad()
def pair_accuracy(clip: CLIP, prompts: list[list[str]]) -> float:
    """Return the share of a training batch whose nearest prompt was written for the label."""
    images, labels = train.images[:128], train.labels[:128]
    texts = [prompts[label][i % len(prompts[label])] for i, label in enumerate(labels.tolist())]
    cosines = unit_embeddings(clip, images) @ F.normalize(clip.encode_text(texts), dim=1).T
    return float((labels[cosines.argmax(dim=1)] == labels).double().mean())


spoken = [[template.format(name) for template in TEMPLATES] for name in DIGIT_NAMES]
with torch.no_grad():
    their_texts = torch.stack([F.normalize(theirs.encode_text(p), dim=1).mean(0) for p in spoken])
their_matrix = similarity(theirs, their_texts)
their_test, their_train = (
    unit_embeddings(theirs, test.images),
    unit_embeddings(theirs, train.images),
)
answers = (their_test @ F.normalize(their_texts, dim=1).T).argmax(dim=1)
right = [float((answers[test.labels == d] == d).double().mean()) for d in range(10)]
train_share = library_zero_shot_accuracy(their_train, their_texts, train.labels)
rows = [
    ["1a", "loss, first and last epoch", f"{their_means[0]:.2f}, {their_means[-1]:.2f}"],
    [
        "1b",
        "training images whose nearest prompt is one for their label (cosine, evaluation mode)",
        f"{pair_accuracy(theirs, their_prompts):.1%}",
    ],
    ["2a", "zero-shot accuracy on test digits", shares(their_test, their_texts)[1] + " %"],
    ["2b", "the same on the *training* digits, in the phrasings of training", f"{train_share:.1%}"],
    ["3", "2a for each digit, from 0 to 9", ", ".join(f"{share:.0%}" for share in right)],
]
table = markdown_table(["", "symptom", "measured"], rows)
display(Markdown(table.replace("---:", ":---")))
Markdown(run_label)

# %% mystnb={"image": {"alt": "A table of ten names by ten digits, coloured by cosine: one bright cell in each row, but not on the diagonal."}, "figure": {"caption": "The colleague's model: cosines of prompts with the mean image of each digit.", "name": "fig-05-broken"}}
plotting.plot_similarity({"the colleague's model": their_matrix}, DIGIT_NAMES, (-1.0, 1.0))

# %% [markdown]
# *Not graded.* For each suspect, name the symptom that rules it out. Then name the culprit, and say
# why nothing in training could reveal it.
#
# 1. The embeddings are not normalised in the loss.
# 2. The model does not generalise to new images.
# 3. The model does not know the words of the test prompts.
# 4. The prompts were shuffled relative to the images, anew in each batch.
# 5. Batch normalisation is in the wrong mode when the model is measured.
# 6. Images and prompts were paired by different numberings of the classes.
#
# <details><summary>The diagnosis</summary>
#
# **It is 6.** `sorted(DIGIT_NAMES)` puts the names in alphabetical order, *eight, five, four, nine,
# one, seven, six, three, two, zero*, while label 0 is the digit 0. So every image of a 0 was
# trained with "an image of a eight". (Folders of images that are read in alphabetical order cause
# the same fault.) *Six* happens to be in its right place, number 6. This is why one digit of ten is
# read correctly, and why the total is at chance.
#
# Training cannot reveal the fault, because the loss only asks whether pairs can be told apart. If
# all labels are renamed in the same way, the pairs can be told apart just as well. Only pairs that
# the training code did *not* make show the fault, such as an image and the words that you type.
#
# The symptoms rule out the other suspects. Symptom 1b is measured by cosine and in evaluation mode,
# and the images find their prompts. So lengths (1) and batch normalisation (5) are in order, and
# prompts shuffled anew in each batch (4) could not have been learned. Training digits do no better
# than test digits (2a and 2b), so generalisation (2) is not the problem. Symptom 2b uses the
# phrasings of training, so the words (3) are not the problem either. Finally, symptom 3 and the
# figure show answers that are wrong *in the same way* every time. Noise would not do this.
#
# The lesson: accuracy at chance does not mean that nothing was learned. Before you train again for
# longer, look at the whole table and not only at its mean.
#
# </details>
#
# **The repair** needs no training. Below, each prompt gets the digit whose images lie closest to
# it, measured on the *training* digits. Then the test digits are classified again.

# %% tags=["hide-input"]
centres = torch.stack([their_train[train.labels == d].mean(dim=0) for d in range(10)])
meant = (F.normalize(their_texts, dim=1) @ F.normalize(centres, dim=1).T).argmax(dim=1)
repaired = float((meant[answers] == test.labels).double().mean())
interval = wilson_interval(round(repaired * len(test.labels)), len(test.labels))
Markdown(
    f"Zero-shot accuracy before: {shares(their_test, their_texts)[1]} %. With the names corrected: "
    f"**{percent(repaired, interval)} %**. {run_label}"
)

# %% [markdown]
# ## What to take away
#
# - The contrastive loss is two classifications over one table of cosines. It needs no class labels.
#   But if a batch contains the same thing twice, tell the loss; otherwise it pushes matching pairs
#   apart.
# - You can write a classifier in words. Measure it with words that training did not use, compare it
#   with chance, and look at each digit.
# - High training accuracy says that the pairs match each other, not that they match the world.
# - A prompt is now a vector. Section 6 gives it to the noise predictor, and asks for a seven.
