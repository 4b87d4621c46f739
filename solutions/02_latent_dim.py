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
# # 2. The latent dimension: how many numbers is a digit?
#
# *Needs: CPU, about 2 minutes.*
#
# Section 1 changed the price of a code. This section changes its *length*: the number $D$ of latent
# dimensions. If there are too few, digits are lost. If there are plenty, does the model use them
# all? You write the two measurements that show which dimensions are in use.

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
# - split a VAE's KL divergence over its latent dimensions, and read how many nats each one
#   carries;
# - count active units, and explain why a VAE need not use all the dimensions that it has;
# - read a two-dimensional latent space as a map;
# - tell *more capacity* from *overfitting* by comparing training and test digits.

# %%
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnistdiff.course.expect import expect, on_copies, require_tensor
from mnistdiff.experiments import get_profile, load_digits

settings = get_profile(profile)
train, test = load_digits(settings)

# %% tags=["hide-input"]
# %matplotlib inline
from IPython.display import Markdown, display

from mnistdiff import plotting
from mnistdiff.experiments.student_report import VAE_SETTINGS

run_label = (
    f"*{settings.label[0].upper()}{settings.label[1:]} ({train.source} MNIST); the report used "
    f"full MNIST and {VAE_SETTINGS['epochs']} epochs.*"
)
Markdown(run_label)

# %% [markdown]
# ## The sweep
#
# We train one VAE per latent dimension. Everything else is as in section 1, with $\beta = 1$. (The
# report's text says that it tried 10, 50, 100 and 500; its table lists 2, 50, 100 and 500. We run
# all five.)

# %%
from mnistdiff.experiments import latent_dim_sweep

runs = latent_dim_sweep(settings)
by_dim = {run.row["latent_dim"]: run for run in runs}

# %% tags=["hide-input"]
from mnistdiff.experiments import compare_table
from mnistdiff.experiments.student_report import LATENT_SWEEP

display(Markdown("**Table 3**, ours beside the report's, on the training images."))
display(Markdown(compare_table(runs, key="latent_dim", report=LATENT_SWEEP)))
Markdown(run_label)

# %% tags=["hide-input"]
r = {dim: run.row for dim, run in by_dim.items()}
Markdown(
    f"From 2 to 10 dimensions the reconstruction loss changes from {r[2]['recon']:.1f} to "
    f"{r[10]['recon']:.1f}. From 10 to 100 dimensions it goes to {r[100]['recon']:.1f}, although "
    "there is ten times the room. The KL, which says how many nats are stored in that room, goes "
    f"from {r[10]['kl']:.1f} to {r[100]['kl']:.1f}, and with 500 dimensions it is "
    f"{r[500]['kl']:.1f}. In a short training, more dimensions are also a burden: each one starts "
    "as noise that the decoder must first learn to ignore. So which dimensions hold the "
    "information? (The results page has the same sweep with the full MNIST.)"
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "For each latent dimension, a block of reconstructed digits above a block of digits sampled from the prior."}, "figure": {"caption": "For each latent dimension: reconstructions of test digits above samples from the prior.", "name": "fig-02-sweep"}}
plotting.plot_sweep(runs, test.images, key="latent_dim")

# %% [markdown]
# ## Exercise 1: the KL of each dimension
#
# The prior and the encoder's Gaussian are both products over dimensions, so the KL is a sum. Each
# term says how many nats of information about the digit its dimension holds (divide by $\log 2$ to
# get bits):
#
# $$ L_\text{KL} = \sum_{d=1}^{D} \text{KL}_d, \qquad
# \text{KL}_d = \frac1B \sum_{b=1}^{B} \frac12 \left( \mu_{bd}^2 + \sigma_{bd}^2 - 1 - \log \sigma_{bd}^2 \right) $$
#
# The encoder of any run gives you what you need: `mu, logvar = model.encode(test.images)`, both of
# shape $(B, D)$.
#
# <details><summary>Hint</summary>
#
# This is the KL of section 1 without one of its steps. Which axis is the batch? Remember that
# `logvar` is $\log \sigma^2$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "kl_per_dimension", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """Compute the KL divergence from the prior for each latent dimension, in nats.

    mu, logvar: (B, D), where logvar is log(sigma^2). Returns (D,): the mean over the B images.
    """
    ### BEGIN SOLUTION
    per_image = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)
    return per_image.mean(dim=0)
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_kl_per_dimension", "locked": true, "schema_version": 3, "solution": false, "task": false}
mu = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 0.0], [0.0, 2.0]])  # four images, two dimensions
causes = {
    "you summed over the images; average over them": [5.0, 2.0],
    "the factor 1/2 is missing": [2.5, 1.0],
    "the sign is wrong; the KL is never negative": [-1.25, -0.5],
    "you divided by the number of dimensions as well": [0.625, 0.25],
    "the -1 is missing": [1.75, 1.0],
    "average the KL over the images, not mu and logvar before it": [0.5, 0.125],
    "mu must be squared": [0.5, 0.25],
}
found = on_copies(kl_per_dimension, mu, torch.zeros(4, 2))
rule = "with sigma = 1, each entry is the mean over the images of mu^2 / 2"
about = "Return one number per dimension, shape (D,): the mean over the images (dim=0)."
expect("KL per dimension", found, [1.25, 0.5], causes, about, rule)

logvar = torch.tensor([[1.386294, 0.0], [1.386294, 0.0]])  # sigma = 2 in the first dimension
causes = {
    "logvar is already log(sigma^2): exp(logvar) is sigma^2": [6.1137, 0.0],
    "you used sigma where the equation has sigma^2": [-0.1931, 0.0],
    "logvar must be subtracted, not added": [2.1931, 0.0],
    "the factor 1/2 is missing": [1.6137, 0.0],
}
found = on_copies(kl_per_dimension, torch.zeros(2, 2), logvar)
rule = "with mu = 0, each entry is the mean over the images of (sigma^2 - 1 - log(sigma^2)) / 2"
expect("KL where sigma is 2 and 1", found, [0.8069, 0.0], causes, about, rule)
print("kl_per_dimension: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_kl_per_dimension", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("kl_per_dimension", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** The figure sorts the dimensions of each VAE by the information that they hold. They
# hold different amounts, although we did not ask the model for this. A dimension that costs more
# nats than it saves in squared error makes the total loss larger, so a long training switches it
# off. A short run such as this one stops half way, with many dimensions that still hold a little.

# %% tags=["hide-input"] mystnb={"image": {"alt": "One falling curve per VAE: KL per latent dimension, sorted."}, "figure": {"caption": "KL per latent dimension on test digits, sorted.", "name": "fig-02-kl"}}
from mnistdiff import metrics

with torch.inference_mode():
    codes = {dim: run.model.encode(test.images) for dim, run in by_dim.items() if dim > 2}
kl = {f"D = {dim}": metrics.kl_per_dimension(*code) for dim, code in codes.items()}
plotting.plot_kl_per_dimension(kl)

# %% tags=["hide-input"]
ranked = kl["D = 100"].sort(descending=True).values
half = int((ranked.cumsum(0) < 0.5 * ranked.sum()).sum()) + 1
Markdown(
    f"With 100 dimensions, all of them together hold {ranked.sum():.2f} nats "
    f"({ranked.sum() / math.log(2):.1f} bits) per digit. The {half} strongest hold half of this."
)

# %% [markdown]
# ## Exercise 2: active units
#
# A dimension is **active** when the mean that the encoder gives it depends on the picture ([Burda
# et al., 2016](https://arxiv.org/abs/1509.00519)):
#
# $$ A_d = \operatorname{Var}_x \big[ \mu_d(x) \big] > 0.01 $$
#
# The variance runs *over the images*. A dimension whose mean is always 3 holds no information,
# however large 3 is. (It makes no visible difference whether the variance divides by $B$ or
# $B - 1$; both are accepted.)
#
# <details><summary>Hint</summary>
#
# There are three steps: compute one number per dimension, compare it with the threshold, and count.
# Return a Python `int`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "active_units", "locked": false, "schema_version": 3, "solution": true, "task": false}
def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """Count the latent dimensions whose posterior mean varies over the data.

    mu: (B, D). Returns how many of the D variances over the B images exceed the threshold.
    """
    ### BEGIN SOLUTION
    spread = mu.var(dim=0)
    return int((spread > threshold).sum())
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_active_units", "locked": true, "schema_version": 3, "solution": false, "task": false}
def expect_count(found: object, expected: int, causes: dict[int, str], what: str) -> None:
    """Compare a count; if it differs, name a likely cause."""
    kind = type(found).__name__
    if isinstance(found, Tensor | float):
        found = require_tensor("the count", torch.as_tensor(found))  # finite
    shape = tuple(getattr(found, "shape", ()))
    assert not shape, f"active_units returns shape {shape}, expected one int: count the dimensions"
    found = found.item() if hasattr(found, "item") else found  # an array that holds one number
    whole = f"active_units returns {kind} {found}, expected an int, the number of dimensions"
    assert type(found) is int, whole
    why = "compute one variance per dimension, over the images, and count those above the threshold"
    why = causes.get(found, why)
    message = (
        f"active_units gives {found} for {what}, expected {expected}. {why[0].upper()}{why[1:]}."
    )
    assert found == expected, message


there, back = [1.0, -2.0, 5.0, 4.0, 3.0], [-1.0, 2.0, 5.0, 4.0, 3.0]
moving = torch.tensor([there, back, there, back, there, back])  # six images, five dimensions
far = "a constant dimension is not active, even far from 0: use the variance over the images"
causes = {
    3: far,
    5: far,
    6: "you took the variance over the dimensions; take it over the images (axis 0)",
    1: "you took one variance over all entries; take one per dimension, over the images (axis 0)",
    0: "a dimension that moves can have a mean of 0: use the variance over the images",
}
expect_count(on_copies(active_units, moving), 2, causes, "two moving and three constant dimensions")

quiet = torch.tensor([[0.05], [-0.05], [0.05], [-0.05]])
causes = {1: "the standard deviation is above 0.01, the variance is not: compare the variance"}
expect_count(on_copies(active_units, quiet), 0, causes, "a dimension with variance 0.0025")
causes = {0: "the argument threshold is not used"}
found = on_copies(active_units, quiet, threshold=0.001)
expect_count(found, 1, causes, "variance 0.0025 and threshold 0.001")
print("active_units: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_active_units", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("active_units", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** The last column of this table, counted by the library. The other columns are the
# measures that section 1 explains: how many reconstructed test digits the judge still reads
# correctly, how many samples it reads with confidence, and how far samples are from real digits
# (FD ratio; 1 is as near as real digits are to each other).

# %% tags=["hide-input"]
from mnistdiff.experiments import measured_table

display(Markdown(measured_table(runs, key="latent_dim")))
Markdown(run_label)

# %% [markdown]
# ## Weak dimensions are not needed
#
# If a dimension holds no information, the decoder should not need it. We keep the strongest
# dimensions of the VAE with 100, set all others to 0, and decode.

# %% tags=["hide-input"]
wide = by_dim[100].model
mu, logvar = codes[100]
order = metrics.kl_per_dimension(mu, logvar).argsort(descending=True)
active = metrics.active_units(mu)
lines = ["| dimensions kept | squared error per image | read correctly by the judge |"]
lines.append("|---:|---:|---:|")
for count in sorted({2, 5, 10, 20, active, 100}):
    kept = torch.zeros_like(mu)
    kept[:, order[:count]] = mu[:, order[:count]]
    with torch.inference_mode():
        recon = wide.decode(kept)
    error = (recon - test.images).square().flatten(1).sum(1).mean()
    right = metrics.label_accuracy(metrics.read_digits(recon).digits, test.labels)
    lines.append(f"| {count} | {error:.2f} | {right:.1%} |")
display(Markdown("\n".join(lines)))
Markdown(
    f"Active units by the 0.01 rule: {active}. The threshold is arbitrary: a unit just above it "
    "counts as much as a unit that holds most of the digit. So look at the KL as well. "
    f"{run_label}"
)

# %% [markdown]
# ## Two dimensions are a map
#
# With $D = 2$ the whole code fits into one figure. Each test digit is a point at its $\mu$.
# Neighbours look alike, and classes that look alike share a border. At these borders the
# reconstructions go wrong.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Left: test digits as points in two latent dimensions, coloured by class; clusters fan out around the origin, some apart, some overlapping. Right: a grid of decoded digits that change smoothly from class to class."}, "figure": {"caption": "The latent space of the two-dimensional VAE: the positions of the test digits, and what each position decodes to.", "name": "fig-02-map"}}
plotting.plot_latent_map(by_dim[2].model, test)

# %% [markdown]
# The right picture decodes a grid of positions. Between two classes the decoder draws something in
# between, which may or may not be a digit.
#
# With more dimensions we cannot draw a map, but we can draw **traversals**: take the code of one
# digit, change one dimension, keep the others, and watch what that dimension *means*. The figure
# shows the most informative dimensions of the VAE with 50.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Rows of one digit that changes gradually from left to right, each row in a different way: slant, stroke width, loop size, or into another digit."}, "figure": {"caption": "A traversal: each row changes one latent dimension, the most informative one first.", "name": "fig-02-traversal"}}
plotting.plot_traversal(by_dim[50].model, test.images[:1])

# %% [markdown]
# ## The report's claims, checked
#
# Overfitting shows as a *gap*: a model that memorises its training digits is worse on new ones. So
# we compare the total loss on training digits and on test digits.

# %% tags=["hide-input"]
lines = ["| latent dim | total, training | total, test | gap |", "|---:|---:|---:|---:|"]
gap = {}
for dim, run in by_dim.items():
    gap[dim] = run.row["total_test"] - run.row["total"]
    lines.append(
        f"| {dim} | {run.row['total']:.2f} | {run.row['total_test']:.2f} | {gap[dim]:+.2f} |"
    )
display(Markdown("\n".join(lines)))
Markdown(f"Both losses are measured after training, with one latent draw per image. {run_label}")

# %% [markdown]
# Each verdict is computed from the runs above.

# %% tags=["hide-input"]
from mnistdiff.experiments import LATENT_DIMS

small, fifty, largest = by_dim[2].row, by_dim[50].row, by_dim[500].row
best_beyond = min(by_dim[dim].row["total_test"] for dim in LATENT_DIMS if dim > 50)
gained = 1 - best_beyond / fifty["total_test"]
intervals_apart = small["recon_accuracy_interval"][1] < fifty["recon_accuracy_interval"][0]
larger_gap = gap[500] > 1.2 * gap[50] and gap[500] - gap[50] > 0.5
claims = [
    (
        "too few dimensions lose information",
        f"test reconstruction loss {small['recon_test']:.2f} with 2 dimensions, "
        f"{fifty['recon_test']:.2f} with 50; read correctly: {small['recon_accuracy']:.1%} and "
        f"{fifty['recon_accuracy']:.1%}",
        "holds" if intervals_apart else "**not shown here**",
    ),
    (
        "more than 50 dimensions gain nothing",
        f"lowest total on test digits: {best_beyond:.2f} with more than 50, "
        f"{fifty['total_test']:.2f} with 50; active units {fifty['active_units']} of 50, "
        f"{largest['active_units']} of 500",
        "holds" if gained < 0.02 else "**does not hold here**",
    ),
    (
        "500 overfits",
        f"the gap is {gap[500]:+.2f} with 500 dimensions, {gap[50]:+.2f} with 50",
        "holds" if larger_gap else "**not shown: the gap is not larger**",
    ),
    (
        "latent diffusion needs good reconstructions more than regularity",
        f"at beta 1 the judge reads {fifty['recon_accuracy']:.1%} of the reconstructions "
        "correctly, an upper limit for everything that is decoded",
        "open: section 4 measures it",
    ),
]
lines = ["| the report says | we measure | verdict |", "|---|---|---|"]
lines += ["| " + " | ".join(claim) + " |" for claim in claims]
display(Markdown("\n".join(lines)))
Markdown(f"{run_label} One seed.")

# %% [markdown]
# ## What to take away
#
# - At a given $\beta$, training decides how many dimensions hold information; $D$ is only an upper
#   limit.
# - A code that is too short harms the reconstructions. Whether a longer code gains anything is seen
#   in the total on test digits, after a training that is long enough for it.
# - To store *more* per digit, do not only raise $D$: lower $\beta$. Section 4, on latent diffusion,
#   needs this.
