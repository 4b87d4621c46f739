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
# *Needs: CPU, about 1 minute.*
#
# The model of section 4 draws digits, but which digit comes is luck. To ask for one in words,
# something must turn "a handwritten seven" into numbers that a noise predictor can be told. Any
# numbers would do, but some are better: a vector that lies *where the pictures lie that the
# prompt describes*. That is what CLIP learns ([Radford et al.,
# 2021](https://arxiv.org/abs/2103.00020)): one encoder for images, one for text, and a loss that
# pulls what belongs together close. Section 6 hands the text encoder's vector to the noise
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
# - classify digits with nothing but sentences, and say how sure the share is;
# - explain what a false negative is, and what it costs;
# - find the fault of a model whose training looks perfect and whose zero-shot accuracy is chance.

# %%
# %matplotlib inline
import math

import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from torch import Tensor, nn

from mnistdiff import training
from mnistdiff import plotting
from mnistdiff.clip import CLIP, CLIPConfig
from mnistdiff.clip import contrastive_loss as library_contrastive_loss
from mnistdiff.clip import zero_shot_accuracy as library_zero_shot_accuracy
from mnistdiff.errors import MnistdiffError
from mnistdiff.course.expect import expect, on_copies
from mnistdiff.experiments import get_profile, load_digits, markdown_table, percent
from mnistdiff.metrics import wilson_interval
from mnistdiff.prompts import (
    DIGIT_NAMES,
    HELD_OUT_TEMPLATES,
    TEMPLATES,
    VOCABULARY,
    digit_in,
    prompts_for,
    random_prompt,
    tokenize,
)
from mnistdiff.experiments import class_embeddings, fit_clip

settings = get_profile(profile)
train, test = load_digits(settings)
small_epochs = max(settings.text.clip_epochs // 2, 1)  # of the small models that explain something

# %% tags=["hide-input"]
run_label = (
    f"*{settings.name.capitalize()} profile: {len(train.images):,} training digits "
    f"({train.source} MNIST), epochs of CLIP: {settings.text.clip_epochs}, of the small models: "
    f"{small_epochs}; measured on {len(test.images):,} test digits, one seed.*"
)
Markdown(run_label)

# %% [markdown]
# ## Prompts and tokens
#
# The report's CLIP has no text encoder: it learns **one vector per label**, a table of ten rows.
# That is enough to say "7", and nothing else: whoever types "a seven, please draw it by hand"
# must first be translated to a row of the table by somebody. Ours reads words. Its vocabulary is
# small, the ten digits in figures and in letters and some neutral words, and documented; a prompt
# becomes a row of token numbers, an end token after the last word.

# %%
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
# The empty prompt is an end token alone; it asks for no digit. A word that the model never saw has
# no vector, and guessing one would be a lie. It gets a sentence:

# %%
for prompt in ("a cheerful seven", "a seven or a nine"):
    try:
        tokenize([prompt])
    except MnistdiffError as error:
        print(f"MnistdiffError: {error}\n")

# %% [markdown]
# Training never shows the same sentence for a digit again and again: it draws a template, or puts
# neutral words in any order around the digit. So the only thing that a prompt has in common with
# its image is the digit. Some templates are **held out**: they are for measuring, below.

# %%
generator = torch.Generator().manual_seed(0)
print("training: ", *(f"{random_prompt(7, generator)!r}" for _ in range(4)), sep="\n  ")
print(
    "held out: ", *(f"{prompt!r}" for prompt in prompts_for(7, HELD_OUT_TEMPLATES)[:4]), sep="\n  "
)

# %% [markdown]
# ## Two encoders
#
# Images go through three convolutions. Prompts go through a small *causal* transformer: each word
# sees itself and the words before it, so the state at the end token has read the whole prompt,
# and that state becomes the embedding. Both end in a linear layer to the same number of dimensions.

# %% tags=["hide-input"]
untrained = CLIP()
sizes = [
    [
        "image encoder",
        "(B, 1, 28, 28)",
        sum(p.numel() for p in untrained.image_encoder.parameters()),
    ],
    ["text encoder", "(B, words)", sum(p.numel() for p in untrained.text_encoder.parameters())],
    ["the report's table of labels", "(B,)", 10 * untrained.config.embed_dim],
]
rows = [
    [name, goes_in, f"(B, {untrained.config.embed_dim})", f"{count:,}"]
    for name, goes_in, count in sizes
]
Markdown(markdown_table(["", "in", "out", "numbers to learn"], rows))

# %% [markdown]
# ## Exercise 1: the contrastive loss
#
# A batch is $B$ pairs: image $i$ with embedding $u_i$, its prompt with embedding $v_i$. Only the
# *directions* matter, so compare by cosine, sharpened by a factor $a$, the `logit_scale`:
#
# $$ s_{ij} = a \, \frac{u_i \cdot v_j}{\lVert u_i \rVert \, \lVert v_j \rVert} $$
#
# Now ask two questions of this $B \times B$ table. Along each **row**: which of the $B$ prompts
# belongs to image $i$? Down each **column**: which of the $B$ images belongs to prompt $j$? Each is
# a classification with $B$ classes whose right answer is on the diagonal. The loss is the mean of
# both:
#
# $$ L = \frac{1}{2B} \sum_{i=1}^{B} \left[ -\log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
# \;-\; \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}} \right] $$
#
# <details><summary>Hint</summary>
#
# Make every embedding a unit vector first: each *row* of the two matrices. The matrix of all
# cosines is then a single product of matrices. Both fractions are softmaxes, so both terms are
# cross-entropies that torch knows: the logits are the table for one question and its transpose for
# the other. What is the number of the right class in row $i$?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "contrastive_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def contrastive_loss(image_emb: Tensor, text_emb: Tensor, logit_scale: Tensor | float) -> Tensor:
    """Each image must find its text among the batch's, and each text its image.

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
    "you normalised over the batch; each embedding, a row, is to have length 1 (dim=1)": 1.7945,
    "a length is the root of the sum of squares; you divided by a sum of absolute values": 0.7769,
    "this asks images for their texts only; ask texts for their images too (the transpose)": 0.6916,
    "this asks texts for their images only; ask images for their texts too": 1.3305,
    "the two directions are added; take their mean": 2.0221,
    "you summed over the batch; take the mean": 3.0331,
    "logit_scale multiplies the cosines, you divided by it": 1.0075,
    "logit_scale is used as it comes; do not take its exponential again": 4.5432,
    "logit_scale is not used": 0.9092,
    "cross_entropy takes the softmax itself; give it the similarities": 0.9986,
    "these are the probabilities; the logarithm is missing": -0.4865,
    "the sign is turned; a cross-entropy is never negative": -1.0110,
    "each pair is judged alone; each row is one choice among all B (a softmax)": 0.8167,
    "only the diagonal is used; the other pairs belong in the softmax's denominator": -0.8000,
    "you summed over the batch and over both directions; take the means": 6.0662,
    "the softmax runs over the whole table; there is one per row, and one per column": 2.9327,
    "logit_scale multiplies the cosines, not the loss": 2.7275,
    "logit_scale is multiplied in twice": 2.1443,
    "the right answer of row i is i, the diagonal, not the largest entry": 0.3504,
    "the right answer of row i is i: torch.arange, not zeros": 0.9453,
    "you averaged over all B x B entries; there are B questions per direction": 0.3370,
}
kept = image_emb.clone(), text_emb.clone()
found = contrastive_loss(image_emb, text_emb, scale)
for name, given, before in zip(("image_emb", "text_emb"), (image_emb, text_emb), kept, strict=True):
    assert given.equal(before), f"your function changes {name}; make a new tensor instead"
about = "The loss is a scalar: the mean over the batch and over both directions."
expect("the loss", found, 1.0110, causes, about)

found = contrastive_loss(10 * image_emb, text_emb / 10, scale)
expect("the loss of longer and shorter embeddings", found, 1.0110, {}, about)
found = contrastive_loss(image_emb, text_emb, 100.0)
overflow = f"at logit_scale 100 the loss is {found}: exp overflows; let cross_entropy do it"
assert torch.as_tensor(found).isfinite(), overflow

image_emb.requires_grad_()
text_emb.requires_grad_()
scale.requires_grad_()
loss = contrastive_loss(image_emb, text_emb, scale)
assert loss.requires_grad, "no gradient reaches the encoders: no .item(), .detach() or no_grad here"
loss.backward()
for name, given in {"image_emb": image_emb, "text_emb": text_emb, "logit_scale": scale}.items():
    cut = f"no gradient reaches {name}: it is cut off, or not used; all three are learned"
    assert given.grad is not None, cut
    assert given.grad.abs().sum() > 0, cut
print("contrastive_loss: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_contrastive_loss", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("contrastive_loss", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Your loss trains a small CLIP for some seconds. Before, every prompt is about as
# close to one digit as to another; after, a bright diagonal: each name is closest to the pictures
# of its digit.

# %%
SMALL = CLIPConfig(embed_dim=32, channels=(8, 16, 16), text_width=32, text_layers=1)
generator = torch.Generator().manual_seed(0)
mixed_prompts = [[random_prompt(digit, generator) for _ in range(32)] for digit in range(10)]


def train_small(loss, prompts: list[list[str]], masked: bool) -> tuple[CLIP, list[float]]:
    """Train a small CLIP with a loss; prompts[d] are those of label d. Mean loss per epoch."""
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
def look(clip: CLIP, images: Tensor) -> Tensor:
    """Directions of images, (N, E)."""
    parts = [F.normalize(clip.encode_image(part), dim=1) for part in images.split(500)]
    return torch.cat(parts)


def similarity(clip: CLIP, texts: Tensor) -> Tensor:
    """Cosines of each digit's texts (rows) with each digit's mean test image, (10, 10)."""
    seen = look(clip, test.images)
    means = torch.stack([seen[test.labels == digit].mean(dim=0) for digit in range(10)])
    return F.normalize(texts, dim=1) @ F.normalize(means, dim=1).T


# %% mystnb={"image": {"alt": "Two tables of ten names by ten digits, coloured by cosine: without a pattern before training, a bright diagonal after it."}, "figure": {"caption": "How close each name is to the pictures of each digit, before and after some seconds of training with your loss.", "name": "fig-05-yours"}}
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
# Why does your loss stop so far from zero? Look at a batch. It calls every pair off the
# diagonal *wrong*. But a batch of 128 digits holds each of ten digits a dozen times: the prompt "a
# handwritten seven" of one pair describes the image of another just as well. To push these apart is
# to punish the model for being right. On the Web two images in a batch rarely share a caption, and
# CLIP ignores this; with ten classes nobody can.

# %% tags=["hide-input"]
labels = train.labels[torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(0))]
labels = labels[:128]
same = labels[:, None] == labels
twins, pairs = int(same.sum()) - len(labels), len(labels) * (len(labels) - 1)
floor = float(same.sum(dim=1).double().log().mean())
Markdown(
    f"In one batch of {len(labels)}: {twins:,} of the {pairs:,} pairs off the diagonal "
    f"({twins / pairs:.0%}) are false negatives. Even a model that reads every digit can only "
    "share its certainty evenly among a digit's own prompts, and its loss cannot fall below the "
    f"mean of $\\log n_i$, where $n_i$ counts the digit of pair $i$: **{floor:.2f}**."
)

# %% [markdown]
# The remedy: tell the loss which pairs off the diagonal belong together, and leave them out of both
# softmaxes; they are neither right nor wrong. The library's loss takes such a mask, `same`, true
# where two labels of the batch agree. (On real data nobody has these labels; there one
# de-duplicates captions, or lets every caption that fits count as right, as [Khosla et al.,
# 2020](https://arxiv.org/abs/2004.11362) do.) Two small models, alike but for the mask:

# %%
plain, plain_means = train_small(library_contrastive_loss, mixed_prompts, masked=False)
masked, masked_means = train_small(library_contrastive_loss, mixed_prompts, masked=True)


# %% tags=["hide-input"]
def shares(seen: Tensor, texts: Tensor, labels: Tensor = test.labels) -> tuple[float, str]:
    """Zero-shot accuracy, alone and, in percent, as text with its Wilson interval."""
    share = library_zero_shot_accuracy(seen, texts, labels)
    return share, percent(share, wilson_interval(round(share * len(labels)), len(labels)))


def closeness(seen: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cosine of two images of the same digit, and of two of different digits."""
    together = labels[:, None] == labels
    alone = torch.eye(len(seen), dtype=torch.bool)
    cosines = seen @ seen.T
    return float(cosines[together & ~alone].mean()), float(cosines[~together].mean())


apart, rows = {}, []
for name, small, means in (("all", plain, plain_means), ("masked", masked, masked_means)):
    seen = look(small, test.images)
    near, far = closeness(seen[:1_000], test.labels[:1_000])
    apart[name] = near - far
    accuracy = shares(seen, class_embeddings(small, HELD_OUT_TEMPLATES))[1]
    scale = f"{float(small.logit_scale.detach()):.1f}"
    rows.append([name, f"{means[-1]:.2f}", scale, f"{near:.2f}", f"{far:.2f}", accuracy])
head = ["negatives", "loss, last epoch", "logit scale", "cosine of images, same digit"]
head += ["different digit", "zero-shot accuracy, %"]
display(Markdown(markdown_table(head, rows)))
reason = "After so short a training the two hardly differ."
if apart["masked"] > apart["all"]:
    reason = (
        "Without it, the prompts of an image's own digit share most of the softmax: they are "
        "pushed away in vain, and little of the push is left for the other digits."
    )
display(
    Markdown(
        f"The two losses cannot be compared: the first has a floor near {floor:.2f}, the second "
        f"near 0. What can be: between images of the same and of different digits lie "
        f"{apart['all']:.2f} of cosine without the mask, {apart['masked']:.2f} with it, and "
        f"nothing but the mask has changed. {reason}"
    )
)
Markdown(run_label)

# %% [markdown]
# ## The real one
#
# From here on we use the library's CLIP: larger, trained for longer with the mask, and cached.

# %%
clip, fit = fit_clip(settings)

# %% tags=["hide-input"]
first, last = fit.history[0]["total"], fit.history[-1]["total"]
start, end = float(untrained.logit_scale.detach()), float(clip.logit_scale.detach())
held_out = class_embeddings(clip, HELD_OUT_TEMPLATES)


def surest(scale: float, pairs: int = 128) -> float:
    """The largest softmax that one cosine of 1 among cosines of 0 can give."""
    return math.exp(scale) / (math.exp(scale) + pairs - 1)


display(
    Markdown(
        f"The loss falls from {first:.2f} in the first epoch to {last:.3f} in the last. The "
        f"**logit scale** is learned with the rest: it starts at 1 / 0.07 = {start:.1f} and ends "
        f"at {end:.1f}. Why have it at all? A cosine of 1 among 127 of 0 gives a softmax of only "
        f"{surest(1.0):.1%} at scale 1: the loss could never be satisfied. At {start:.1f} it gives "
        f"{surest(start):.2%}. It is stored as a logarithm, so that it stays positive, and "
        "capped at 100."
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
    f"On the diagonal the cosines are {float(matrix.diagonal().min()):.2f} to "
    f"{float(matrix.diagonal().max()):.2f}. The closest pair off it: the prompts for "
    f"*{DIGIT_NAMES[row]}* and the images of {column}, {float(off.max()):.2f}. {run_label}"
)

# %% [markdown]
# ## Exercise 2: zero-shot accuracy
#
# A CLIP is a classifier for classes that it was never trained to classify. Write one text per
# class, embed the texts, and give each image the class of the text that is closest by cosine:
#
# $$ \hat y_i = \operatorname*{arg\,max}_{k} \;
# \frac{u_i \cdot v_k}{\lVert u_i \rVert \, \lVert v_k \rVert}, \qquad
# \text{accuracy} = \frac1N \sum_{i=1}^{N} [\hat y_i = y_i] $$
#
# The number of texts $K$ need not be 10, nor equal to the number of images.
#
# <details><summary>Hint</summary>
#
# The same table of cosines as above, now (N, K), and the largest entry of each row. Which of the
# two lengths could you forget without changing the answer? The other one you cannot: a long text
# vector would win everywhere.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "zero_shot_accuracy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def zero_shot_accuracy(image_emb: Tensor, text_emb: Tensor, labels: Tensor) -> float:
    """Share of images whose closest text, by cosine, is the one of their label.

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
about = "One number: the mean over the images. Take the closest text per image (dim=1)."


def share_of(count: int, labels: list[int]) -> Tensor:
    """What your function says of the first `count` images."""
    given = image_emb[:count], text_emb, torch.tensor(labels)
    share = on_copies(zero_shot_accuracy, *given)
    assert share is not None, "zero_shot_accuracy gives None. Is there a `return`?"
    return torch.as_tensor(share)


causes = {
    "take the closest text per image (dim=1); lengths are per embedding, not per batch": 0.3333,
    "compare by cosine: a text vector that is longer than the others must not matter": 0.6667,
    "the largest cosine is the closest; compare with `labels`, and count what is right": 0.0,
    "this is the number of right answers; divide by the number of images": 3.0,
    "this is in percent; a share lies between 0 and 1": 100.0,
}
expect("the share when all three are right", share_of(3, [2, 0, 1]), 1.0, causes, about)

causes = {
    "the text embeddings are not normalised: a long one wins too often": 0.4,
    "compare by cosine, not by distance; and lengths are per embedding (dim=1), not per batch": 0.6,
    "these are the mistakes; count what is right": 0.2,
    "nothing is counted: the labels decide what is right": 1.0,
}
expect("the share of five images", share_of(5, [1, 0, 1, 2, 0]), 0.8, causes, about)
print("zero_shot_accuracy: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_zero_shot_accuracy", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("zero_shot_accuracy", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Your function and the library's agree on the trained CLIP. Then the same images,
# asked in different words. Where there are several prompts per digit, their directions are
# averaged. The last row is a control that must fail: the same predictions, the labels shuffled.

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
seen = look(clip, test.images)
each = {template: class_embeddings(clip, (template,)) for template in HELD_OUT_TEMPLATES}
worst = min(each, key=lambda template: shares(seen, each[template])[0])
asked = {
    'a figure: "7"': (figures, 1),
    'a word: "seven"': (letters, 1),
    "all phrasings of training": (class_embeddings(clip, TEMPLATES), 2 * len(TEMPLATES)),
    "**held-out phrasings**": (held_out, 2 * len(HELD_OUT_TEMPLATES)),
    f'the worst of them: "{worst.format("…")}"': (each[worst], 2),
}
rows = [[name, str(count), shares(seen, texts)[1]] for name, (texts, count) in asked.items()]
order = torch.randperm(len(test.labels), generator=torch.Generator().manual_seed(0))
rows.append(["chance: shuffled labels", "", shares(seen, held_out, test.labels[order])[1]])
display(Markdown(markdown_table(["asked with", "prompts per digit", "accuracy, %"], rows)))
Markdown(
    "A table of ten label vectors has no row for any of these phrasings but the first; the text "
    f"encoder reads sentences that it was not trained on word for word. {run_label}"
)

# %% [markdown]
# ## Retrieval, both ways
#
# One space means that one can search from either side. **From an image**, what describes it best
# among all held-out prompts? Below are the four test digits of which CLIP is surest and the four of
# which it is least sure, each with its best prompt and the best prompt for *another* digit.


# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight digits with the nearest prompts written beside each: four clear ones on the left, four odd ones on the right."}, "figure": {"caption": "From an image to prompts: the surest on the left, the least sure on the right. The numbers are cosines.", "name": "fig-05-image-to-text"}}
prompts = [prompt for digit in range(10) for prompt in prompts_for(digit, HELD_OUT_TEMPLATES)]
named = torch.tensor([digit_in(prompt) for prompt in prompts])
with torch.no_grad():
    said = F.normalize(clip.encode_text(prompts), dim=1)
cosines = seen @ said.T  # (N, prompts)
best = cosines.argmax(dim=1)
others = cosines.masked_fill(named[best][:, None] == named, -2)
second = others.argmax(dim=1)
margin = cosines.max(dim=1).values - others.max(dim=1).values


def caption(index: int) -> str:
    """The true digit of an image, its best prompt, and the best for another digit."""
    lines = [f"label {test.labels[index]}"]
    lines += [f"{cosines[index, k]:.2f}  {prompts[k]}" for k in (best[index], second[index])]
    return "\n".join(lines)


ranked = margin.argsort().tolist()
surest_of, picked = {}, []  # one image per digit on the sure side, else all would be alike
for index in reversed(ranked):
    surest_of.setdefault(int(test.labels[index]), index)
picked = list(surest_of.values())[:4] + ranked[:4]
plotting.plot_prompts_of_images(test.images[picked], [caption(index) for index in picked])

# %% [markdown]
# **From a prompt**, which of the test digits are nearest?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Ten rows of digits; each row holds the test digits that lie nearest to the prompt written before it."}, "figure": {"caption": "From a prompt to images: the test digits nearest to each prompt, the nearest first.", "name": "fig-05-text-to-image"}}
words = [HELD_OUT_TEMPLATES[digit % len(HELD_OUT_TEMPLATES)] for digit in range(10)]
queries = [template.format(DIGIT_NAMES[digit]) for digit, template in enumerate(words)]
with torch.no_grad():
    asked_for = F.normalize(clip.encode_text(queries), dim=1)
nearest = (asked_for @ seen.T).topk(12, dim=1).indices
plotting.plot_images_of_prompts(queries, test.images[nearest])

# %% tags=["hide-input"]
hits = int((named[best] == test.labels).sum())
found = (test.labels[(said @ seen.T).topk(12, dim=1).indices] == named[:, None]).double()
Markdown(
    f"For {hits:,} of {len(test.labels):,} images ({hits / len(test.labels):.1%}) the nearest of "
    f"all {len(prompts)} held-out prompts names the right digit. The other way, of the 12 images "
    f"nearest to a prompt {float(found.mean()):.1%} are the digit that it names, averaged over the "
    f"{len(prompts)} prompts. {run_label}"
)

# %% [markdown]
# ## A map of the space
#
# Both encoders' embeddings, as unit vectors, on their common principal components. Ten groups that
# are all far from each other do not fit in two dimensions, so here are four.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two scatter plots of small points, one colour and shape per digit, with larger outlined markers near the groups."}, "figure": {"caption": "Images (small) and prompts (large, outlined), one colour and marker per digit, on four principal components.", "name": "fig-05-map"}}
plotting.plot_map((seen, test.labels), (said, named))

# %% tags=["hide-input"]
gap = float((seen.mean(dim=0) - said.mean(dim=0)).norm())
spread = torch.stack([said[named == digit].std(dim=0).norm() for digit in range(10)]).mean()
cloud = torch.stack([seen[test.labels == digit].std(dim=0).norm() for digit in range(10)]).mean()
Markdown(
    f"The twelve prompts of a digit lie close together (spread {float(spread):.2f}); its images "
    f"are a wider cloud (spread {float(cloud):.2f}): the text says which digit, not how it is "
    "written. For section 6 this means that the prompt fixes the digit, and the noise everything "
    f"else. The centres of all images and all prompts are {gap:.2f} apart; in CLIPs trained on "
    "the Web the two halves do not even overlap, the *modality gap* of [Liang et al., "
    "2022](https://arxiv.org/abs/2203.02053)."
)

# %% [markdown]
# ## Diagnosis: a CLIP that looks perfect
#
# A colleague trained a small CLIP on the same digits with the same masked loss, and only wrote
# the prompts in a new way. The loss fell beautifully. Zero-shot, the model is at chance. Here is
# the cell and what it measures; **read the three symptoms first**, and decide what they rule out,
# before you look for the line.

# %%
classes = sorted(DIGIT_NAMES)
their_prompts = [[template.format(name) for template in TEMPLATES] for name in classes]
theirs, their_means = train_small(library_contrastive_loss, their_prompts, masked=True)


# %% tags=["hide-input"]
@torch.no_grad()
def pair_accuracy(clip: CLIP, prompts: list[list[str]]) -> float:
    """In a batch as training sees it: images whose nearest prompt was written for their label."""
    images, labels = train.images[:128], train.labels[:128]
    texts = [prompts[label][i % len(prompts[label])] for i, label in enumerate(labels.tolist())]
    cosines = look(clip, images) @ F.normalize(clip.encode_text(texts), dim=1).T
    return float((labels[cosines.argmax(dim=1)] == labels).double().mean())


spoken = [[template.format(name) for template in TEMPLATES] for name in DIGIT_NAMES]
with torch.no_grad():
    their_texts = torch.stack([F.normalize(theirs.encode_text(p), dim=1).mean(0) for p in spoken])
their_matrix = similarity(theirs, their_texts)
their_test, their_train = look(theirs, test.images), look(theirs, train.images)
answers = (their_test @ F.normalize(their_texts, dim=1).T).argmax(dim=1)
right = [float((answers[test.labels == d] == d).double().mean()) for d in range(10)]
train_share = library_zero_shot_accuracy(their_train, their_texts, train.labels)
rows = [
    ["1a", "loss, first and last epoch", f"{their_means[0]:.2f}, {their_means[-1]:.2f}"],
    [
        "1b",
        "images of a training batch that find a prompt of theirs, by cosine, in evaluation mode",
        f"{pair_accuracy(theirs, their_prompts):.1%}",
    ],
    ["2a", "zero-shot accuracy on test digits", shares(their_test, their_texts)[1] + " %"],
    ["2b", "the same on the *training* digits, in training's own phrasings", f"{train_share:.1%}"],
    ["3", "2a digit by digit, from 0 to 9", ", ".join(f"{share:.0%}" for share in right)],
]
table = markdown_table(["", "symptom", "measured"], rows)
display(Markdown(table.replace("---:", ":---")))
Markdown(run_label)

# %% mystnb={"image": {"alt": "A table of ten names by ten digits, coloured by cosine: one bright cell in each row, but not on the diagonal."}, "figure": {"caption": "The colleague's model: cosines of prompts with the mean image of each digit.", "name": "fig-05-broken"}}
plotting.plot_similarity({"the colleague's model": their_matrix}, DIGIT_NAMES, (-1.0, 1.0))

# %% [markdown]
# *Not graded.* For each suspect, name the symptom that clears it; then name the culprit, and say
# why nothing in training could have noticed.
#
# 1. The embeddings are not normalised in the loss.
# 2. The model does not generalise to new images.
# 3. The model does not know the words that it is asked with.
# 4. Prompts were shuffled against images, anew in each batch.
# 5. Batch normalisation is in the wrong mode when the model is measured.
# 6. Images and prompts were paired by different numberings of the classes.
#
# <details><summary>The diagnosis</summary>
#
# **It is 6.** `sorted(DIGIT_NAMES)` puts the names in alphabetical order, *eight, five, four, nine,
# one, seven, six, three, two, zero*, while label 0 is the digit 0. So every image of a 0 was
# trained with "an image of a eight". (Folders of images, read in alphabetical order, do just
# this.) *Six* happens to stand where it belongs, in place 6: hence one digit of ten is read
# right, and the total is at chance.
#
# Training cannot notice, because the loss only asks whether pairs can be told apart, and a
# renaming that is applied everywhere alike is as good as the truth. Only a pairing that was *not*
# made by the training code, such as the words that you type, shows it.
#
# What clears the others: symptom 1b is measured by cosine and in evaluation mode, and the images
# find their prompts; so lengths (1) and batch normalisation (5) are in order, and prompts shuffled
# anew (4) could not have been learned. Training digits do no better than test digits (2a and 2b),
# so it is not generalisation (2); and 2b uses training's own phrasings, so it is not the words
# (3). Last, symptom 3 and the figure: answers that are wrong *in the same way* every time are no
# noise.
#
# The lesson: an accuracy at chance does not say that nothing was learned. Look at the table,
# not only at its mean, before you train again for longer.
#
# </details>
#
# **The repair** needs no training. Below, each prompt is given the digit whose images lie closest
# to it, read off the *training* digits, and the test digits are asked again.

# %% tags=["hide-input"]
centres = torch.stack([their_train[train.labels == d].mean(dim=0) for d in range(10)])
meant = (F.normalize(their_texts, dim=1) @ F.normalize(centres, dim=1).T).argmax(dim=1)
repaired = float((meant[answers] == test.labels).double().mean())
interval = wilson_interval(round(repaired * len(test.labels)), len(test.labels))
Markdown(
    f"Zero-shot accuracy before: {shares(their_test, their_texts)[1]} %. With the names put right: "
    f"**{percent(repaired, interval)} %**. {run_label}"
)

# %% [markdown]
# ## What to take away
#
# - The contrastive loss is two classifications over one table of cosines. It needs no class
#   labels; but where a batch holds the same thing twice, tell it, or it pushes twins apart.
# - A classifier can be written in words. Measure it with words that training did not use, beside
#   chance, and digit by digit.
# - High training accuracy says that pairs fit each other, not that they fit the world.
# - A prompt is now a vector. Section 6 gives it to the noise predictor, and asks for a seven.
