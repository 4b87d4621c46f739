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
# # 3. DDPM and DDIM: from noise to a digit
#
# *Needs: CPU, about 2 minutes.*
#
# A VAE draws a digit in one step. A diffusion model draws it in many small steps: it starts from
# pure noise and removes a little of it at a time. **DDPM** takes a thousand such steps and adds
# fresh random noise at each one. **DDIM** uses *the same network*, skips most of the steps, and can
# work without fresh noise. In this notebook you write both methods completely, and then you measure
# what the skipped steps cost.

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
# - add noise to a digit up to any timestep in one line, and say what the network learns from this;
# - write one step of DDPM and one step of DDIM, and name the single number that tells them apart;
# - choose which timesteps a short run keeps, and use the index of the *previous kept* timestep
#   correctly;
# - say in measured numbers what 50 steps lose against 1000, and name another advantage of a
#   deterministic sampler besides speed.

# %%
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnistdiff.course.expect import expect, explained, on_copies, repeated
from mnistdiff.experiments import get_profile, load_digits

settings = get_profile(profile)
train, test = load_digits(settings)

# %% tags=["hide-input"]
# %matplotlib inline
from IPython.display import Markdown, display

from mnistdiff import plotting
from mnistdiff.diffusion import default_schedule, load_pixel_model
from mnistdiff.experiments.student_report import PIXEL_SETTINGS
from mnistdiff.storage import PACKAGED, read_weights

schedule = default_schedule()  # T = 1000, cosine
shipped = load_pixel_model()
few = settings.curve_evaluations[-1]  # steps of a short run
_, model_card = read_weights(PACKAGED / "unet-v1.safetensors")
shipped_epochs = model_card.get("profile", {}).get("pixel_epochs", model_card.get("epochs"))
run_label = (
    f"*{settings.name.capitalize()} profile: {settings.gallery} digits per grid and per point, "
    f"drawn with the U-Net that ships with this course ({shipped_epochs} epochs on full MNIST); "
    f"the report trained its own for {PIXEL_SETTINGS['epochs']}.*"
)
Markdown(run_label)

# %% [markdown]
# ## Exercise 1: the forward process
#
# Diffusion first *destroys* the digit. At each of $T$ timesteps a digit $x_0$ (pixels from -1 to 1)
# loses a little of itself and gains a little noise: $x_t = \sqrt{1 - \beta_t}\, x_{t-1} +
# \sqrt{\beta_t}\, \varepsilon$. The numbers $\beta_t$ are the **schedule**. A sum of Gaussians is
# Gaussian, so all the steps up to $t$ combine into one ([Ho et al.,
# 2020](https://arxiv.org/abs/2006.11239), eq. 4):
#
# $$ x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1 - \bar\alpha_t}\; \varepsilon, \qquad
# \bar\alpha_t = \prod_{s \le t} (1 - \beta_s), \qquad \varepsilon \sim \mathcal N(0, I) $$
#
# $\bar\alpha_t$, in code `abar[t]`, is the share of the variance that still comes from the digit.
# It falls from nearly 1 at $t = 0$ to nearly 0 at $t = T - 1$. The two scales are chosen so that
# the variance stays 1.
#
# A training batch holds $B$ digits, **each with its own $t$**: `t` has shape `(B,)`, and so does
# `abar[t]`. The digits have shape `(B, 1, 28, 28)`, or `(B, D)` for the latents of section 4.
#
# <details><summary>Hint</summary>
#
# Broadcasting aligns shapes from the *right*: `(B,)` against `(B, 1, 28, 28)` would put the
# batch along the image's width. Give `abar[t]` one trailing axis of length 1 for each axis of `x0`
# after the first; `reshape` can do this for any `x0.ndim`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "add_noise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def add_noise(x0: Tensor, t: Tensor, noise: Tensor, abar: Tensor) -> Tensor:
    """Add noise to clean images or latents, up to their timesteps.

    x0, noise: (B, ...), of any further shape; t: (B,) integers; abar: (T,), the cumulative
    product of 1 - beta. Returns x_t, of the shape of x0.
    """
    ### BEGIN SOLUTION
    kept = abar[t].reshape(-1, *[1] * (x0.ndim - 1))
    return kept.sqrt() * x0 + (1 - kept).sqrt() * noise
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_add_noise", "locked": true, "schema_version": 3, "solution": false, "task": false}
def noised(*arguments: Tensor) -> object:
    """Call add_noise twice; explain the error if the shapes do not broadcast."""
    try:
        return repeated("x_t", add_noise, *arguments)
    except AssertionError as error:
        if "size of tensor" not in str(error):
            raise
        raise AssertionError(
            f"the shapes do not match ({error}). abar[t] has shape (B,): give it one axis of "
            "length 1 for each further axis of x0"
        ) from None


rule = "row i is sqrt(abar[t[i]]) x0 + sqrt(1 - abar[t[i]]) noise"
axes_hint = "x_t has the shape of x0; check the axes that you added to abar[t]."
abar = torch.tensor([0.81, 0.64, 0.36])
x0 = torch.tensor([[1.0, -1.0], [0.5, 0.0]])  # two latents of two numbers
noise = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
causes = {
    "both square roots are missing": [[1.0, 0.08], [-0.46, 0.32]],
    "the square root of 1 - abar is missing": [[1.16, -0.08], [-0.34, 0.32]],
    "the square root of abar is missing": [[1.24, 0.56], [-0.62, 0.4]],
    "the two scales are swapped": [[1.4, 1.0], [-0.2, 0.3]],
    "1 - sqrt(abar) is not sqrt(1 - abar)": [[1.0, -0.4], [-0.1, 0.2]],
    "abar[t] lies along the last axis; it belongs along the first": [[1.4, 1.0], [-0.2, 0.4]],
    "the noise is not scaled": [[1.8, 1.2], [-0.7, 0.5]],
    "the noise is subtracted": [[0.2, -2.0], [1.1, -0.4]],
    "every row uses the first t; row i has t[i]": [[1.4, 0.4], [-0.2, 0.3]],
    "abar is read at t - 1; t counts from 0": [[1.3359, -0.0282], [-0.2, 0.3]],
    "abar already is the cumulative product of 1 - beta": [[1.2267, 1.6689], [-0.8733, 0.4889]],
    "do not clip x_t to [-1, 1]: noise has no bounds": [[1.0, 0.4], [-0.5, 0.4]],
    "1 - abar stands under the root, not 1 - abar^2": [[1.5684, 0.7367], [-0.633, 0.4665]],
}
t = torch.tensor([1, 2])
x_t = noised(x0, t, noise, abar)
expect("x_t of two latents", x_t, [[1.4, 0.4], [-0.5, 0.4]], causes, axes_hint, rule)

x0 = torch.ones(2, 1, 1, 2)  # two images of width 2: a wrong axis broadcasts, too
noise = torch.tensor([[[[0.0, 1.0]]], [[[0.0, 1.0]]]])
causes = {
    "abar[t] lies along the width of the images; it belongs along the batch, the first axis": [
        [[[0.8, 1.4]]],
        [[[0.8, 1.4]]],
    ]
}
expected = [[[[0.8, 1.4]]], [[[0.6, 1.4]]]]
expect("x_t of two images", noised(x0, t, noise, abar), expected, causes, axes_hint, rule)
x0 = torch.zeros(3, 1, 2, 2)
found = noised(x0, torch.tensor([0, 1, 2]), torch.ones_like(x0), abar)[:, 0, 1, 1]
pixels = "one pixel of three images of pure noise"
expect(pixels, found, [0.4359, 0.6, 0.8], {}, axes_hint, rule)
found = noised(torch.full((1, 2), 50.0), torch.tensor([2]), torch.zeros(1, 2), abar)
clips = {f"do not clip x_t to {c}: noise has no bounds": [[c, c]] for c in (1, 2, 3, 5, 10)}
large = "x_t of a large latent, without noise"
expect(large, found, [[30.0, 30.0]], clips, axes_hint, rule)
print("add_noise: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_add_noise", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("add_noise", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Two digits turn into noise. The schedule decides how *fast* this happens. DDPM's own
# linear schedule reaches noise early, so its last timesteps change almost nothing. The cosine
# schedule ([Nichol and Dhariwal, 2021](https://arxiv.org/abs/2102.09672)), which our U-Net uses,
# spends more timesteps on the part where the digit can still be guessed.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two digits in columns of growing t: clear at t = 0, grainy in the middle, pure noise at t = 999."}, "figure": {"caption": "The forward process: each row mixes one digit with one noise, and the share of the noise grows from left to right.", "name": "fig-03-forward"}}
from mnistdiff import schedules
from mnistdiff.data import to_signed

shown = [0, 100, 250, 400, 550, 700, 850, 999]
generator = torch.Generator().manual_seed(0)
rows = []
for digit in to_signed(test.images[[0, 7]]):
    noise = torch.randn(1, 1, 28, 28, generator=generator).expand(len(shown), -1, -1, -1)
    x0 = digit.expand(len(shown), -1, -1, -1)
    rows.append(schedules.add_noise(x0, torch.tensor(shown), noise, schedule.alphas_cumprod))
plotting.plot_columns(rows, [f"t = {shown[0]}", *map(str, shown[1:])], ["", ""])

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two falling curves for the digit's scale, the linear schedule below the cosine one in the middle, and two rising curves for the noise's scale."}, "figure": {"caption": "The two scales of the forward process under the linear and the cosine schedule.", "name": "fig-03-schedules"}}
linear = schedules.NoiseSchedule(schedules.linear_beta_schedule())
plotting.plot_schedules(
    {"cosine (ours)": schedule.alphas_cumprod, "linear (DDPM)": linear.alphas_cumprod}
)

# %% [markdown]
# ## What the network learns
#
# Training is one line: draw a digit, a timestep and a noise, mix them with `add_noise`, and train
# the network to predict the noise, $\min_\theta \lVert \varepsilon - \varepsilon_\theta(x_t, t)
# \rVert^2$. If we know the noise, we know the digit, because the equation of exercise 1 can be
# solved for it:
#
# $$ \hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\; \varepsilon_\theta(x_t, t)}{\sqrt{\bar\alpha_t}} $$
#
# When sampling begins, at large $t$, $\hat x_0$ is a blurred guess: the mean of all the digits that
# this noise could hide. This is why one step is not enough.
#
# (In fact our U-Net predicts a mixture of noise and digit, $v = \sqrt{\bar\alpha_t}\, \varepsilon -
# \sqrt{1 - \bar\alpha_t}\, x_0$ ([Salimans and Ho, 2022](https://arxiv.org/abs/2202.00512)), which
# is well scaled at both ends. A wrapper turns $v$ into $\varepsilon_\theta$, so for the samplers
# nothing changes.)
#
# ## Exercise 2: one step of DDPM
#
# If we knew $x_0$, we would know exactly how to step back from $x_t$: the *posterior* $q(x_{t-1}
# \mid x_t, x_0)$ is a Gaussian (Ho et al., eq. 6 and 7). DDPM samples from it, with $\hat x_0$ in
# place of $x_0$:
#
# $$ x_{t-1} = \underbrace{\frac{\sqrt{\bar\alpha_{t-1}}\, \beta_t}{1 - \bar\alpha_t}\, \hat x_0 +
# \frac{\sqrt{1 - \beta_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\, x_t}_{\text{mean}} \;+\;
# \sqrt{\tilde\beta_t}\; \text{noise}, \qquad \tilde\beta_t = \beta_t\,
# \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t} $$
#
# Use $\tilde\beta_t$, the variance of the posterior. (Ho et al. also tried $\beta_t$ itself.) The
# last step is $t = 0$. There is no timestep before it, so $\bar\alpha_{-1} = 1$, the variance is 0
# and the mean is $\hat x_0$.
#
# <details><summary>Hint</summary>
#
# `abar[t - 1]` at `t = 0` is `abar[-1]`: Python returns the *noisiest* value without an error.
# Write $\hat x_0$ first; you will need it again in exercise 5. Algorithm 2 of Ho et al. has a
# shorter form of the mean, without $\hat x_0$. It is equal, and you may use it.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ddpm_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ddpm_step(
    x_t: Tensor, eps: Tensor, t: int, betas: Tensor, abar: Tensor, noise: Tensor
) -> Tensor:
    """Take one step of DDPM, from x_t to x_{t-1}, with the posterior's variance.

    x_t, eps (the predicted noise), noise (a fresh draw): (B, ...); t: an int; betas, abar: (T,).
    Returns x_{t-1}, of the shape of x_t; at t = 0 no noise is added.
    """
    ### BEGIN SOLUTION
    x0_hat = (x_t - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
    if t == 0:
        return x0_hat
    digit_share = abar[t - 1].sqrt() * betas[t] / (1 - abar[t])
    own_share = (1 - betas[t]).sqrt() * (1 - abar[t - 1]) / (1 - abar[t])
    variance = betas[t] * (1 - abar[t - 1]) / (1 - abar[t])
    return digit_share * x0_hat + own_share * x_t + variance.sqrt() * noise
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_ddpm_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
betas = torch.tensor([0.19, 0.209877, 0.4375])
abar = torch.tensor([0.81, 0.64, 0.36])
x_t = torch.tensor([[1.0, -0.2]])
eps = torch.tensor([[0.5, -1.0]])
noise = torch.tensor([[1.0, -2.0]])
shape_hint = "The step keeps the shape of x_t."


def step_of(x_t: Tensor, eps: Tensor, t: int, noise: Tensor) -> object:
    """Call ddpm_step twice with copies of the tensors; both results must be equal."""
    return repeated(f"x_{{t-1}} at t = {t}", ddpm_step, x_t, eps, t, betas, abar, noise)


causes = {
    "this is x0_hat itself; a step goes only from x_t to x_{t-1}": [[1.0, 1.0]],
    "the share of x_t in the mean is missing": [[0.5469, 0.5469]],
    "sqrt(1 - beta_t) is upside down: divide by it instead of multiplying": [[0.5449, 0.2602]],
    "divide by sqrt(1 - beta_t) at the end": [[0.7266, 0.3469]],
    "divide by sqrt(1 - beta_t), not by sqrt(abar_t)": [[1.2109, 0.5781]],
    "eps is divided by sqrt(1 - abar_t), not by 1 - abar_t": [[0.8776, 0.6448]],
    "eps must be scaled by beta_t / sqrt(1 - abar_t)": [[1.0417, 0.3167]],
    "eps must be subtracted from x_t, not added": [[1.6979, -0.9958]],
    "you used eps where x0_hat belongs": [[0.6953, -0.6313]],
    "you used abar[t - 1] where abar[t] belongs": [[0.8472, 0.7056]],
    "you used beta_t where 1 - abar_t belongs": [[0.8924, 0.6153]],
    "x0_hat and x_t are swapped": [[0.9688, 0.3125]],
    "this is DDIM's step, which comes later; DDPM's mean is different": [[1.1, 0.2]],
    "x0_hat subtracts sqrt(1 - abar_t) eps, not (1 - sqrt(abar_t)) eps": [[1.151, 0.0979]],
    "noise stands where eps belongs": [[1.3333, -0.2667]],
    "eps and noise are swapped": [[1.5814, -0.7628]],
}
mean = step_of(x_t, eps, 2, torch.zeros(1, 2))
rule = "with noise = 0 the step gives the mean of the posterior, a share of x0_hat plus one of x_t"
expect("the mean (noise = 0) at t = 2", mean, [[0.9688, 0.4625]], causes, shape_hint, rule)
causes = {
    "the noise is scaled by an exponential of the variance; take its square root": [
        [2.0997, -1.7994]
    ],
    "the noise is subtracted; add it": [[0.4727, 1.4547]],
    "the noise is not used; leave it out only at t = 0": [[0.9688, 0.4625]],
    "the noise is scaled by the variance; take its square root": [[1.2148, -0.0297]],
    "the variance is beta_t; here it is beta_t (1 - abar_{t-1}) / (1 - abar_t)": [
        [1.6302, -0.8604]
    ],
    "the noise is not scaled": [[1.9688, -1.5375]],
    "the noise is scaled by beta_t": [[1.4062, -0.4125]],
    "take the square root of the whole variance, including the fraction": [[1.3408, -0.2816]],
    "the fraction in the variance is upside down": [[1.8507, -1.3013]],
}
found = step_of(x_t, eps, 2, noise)
rule = "sigma * noise is added to the mean, sigma^2 = beta_t (1 - abar_{t-1}) / (1 - abar_t)"
expect("x_{t-1} at t = 2", found, [[1.4648, -0.5297]], causes, shape_hint, rule)
causes = {"noise is left out at t = 1; leave it out only at t = 0": [[0.9282, 0.1685]]}
found = step_of(x_t, eps, 1, noise)
expect("x_{t-1} at t = 1", found, [[1.2611, -0.4971]], causes, shape_hint, rule)
causes = {
    "x_t is returned at t = 0; the last step returns x0_hat": [[1.0, -0.2]],
    "noise stands where eps belongs": [[0.6268, 0.7464]],
    "noise is added at t = 0; the last step adds none": [[1.3048, -0.6097]],
    "noise is added at t = 0; the variance is 0 there": [[1.669, -1.3379]],
    "abar[t - 1] at t = 0 is abar[-1], the last value; before t = 0, abar is 1": [
        [3.5529, -0.4491]
    ],
    "abar[t - 1] at t = 0 is abar[-1], and noise is added": [[4.3529, -2.0491]],
}
found = step_of(x_t, eps, 0, noise)
rule = "the last step returns x0_hat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), without noise"
expect("x_{t-1} at t = 0", found, [[0.869, 0.2621]], causes, shape_hint, rule)
clips = {f"do not clip to [-{c}, {c}]": [[c, max(-c, -1.7379)]] for c in (1, 2, 3, 5, 10)}
found = step_of(10 * x_t, eps, 0, noise)
clips["do not clip to [0, 1]"] = [[1, 0]]
expect("x_{t-1} at t = 0, with a large x_t", found, [[10.8689, -1.7379]], clips, shape_hint, rule)
image = torch.ones(2, 1, 3, 3)
shape = step_of(image, image, 1, image).shape
assert shape == image.shape, (
    f"the step returns shape {tuple(shape)} for images of shape (2, 1, 3, 3)"
)
print("ddpm_step: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_ddpm_step", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("ddpm_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** The library's DDPM with the shipped U-Net, as a film strip. The upper part shows the
# sampler's current image, and the lower part shows the digit that the network predicts at that
# moment. The network predicts *some* digit long before it settles on *which*. It also changes its
# mind, because each step adds fresh noise.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Film strip of three digits under DDPM. Upper block: noise that stays grainy until the last frames and then is a digit. Lower block: the predicted digit, first a blur, then sharper and sharper, and sometimes a different digit."}, "figure": {"caption": "DDPM at work: $x_t$ above, the predicted clean digit below, for the same timesteps.", "name": "fig-03-ddpm-film"}}
from mnistdiff import samplers

film = plotting.Film(settings.pixel.ddpm_steps)
samplers.sample_ddpm(
    shipped.model,
    schedule,
    (3, 1, 28, 28),
    num_inference_steps=settings.pixel.ddpm_steps,
    generator=torch.Generator().manual_seed(3),
    callback=film,
)
plotting.plot_film(film.frames)

# %% [markdown]
# ## Exercise 3: which timesteps to keep
#
# A thousand steps need a thousand calls of the network. DDIM keeps only $S$ of the $T$ timesteps, a
# **sub-sequence**. Which ones? We spread them evenly, with **trailing** spacing, which starts at
# the noisiest timestep ([Lin et al., 2024](https://arxiv.org/abs/2305.08891)):
#
# $$ \tau_i = \operatorname{round}\!\Big(T - i\, \frac{T}{S}\Big) - 1, \qquad i = 0, 1, \dots, S - 1 $$
#
# The order is the order of sampling: from noise ($T - 1$) downwards. The timesteps will index
# `abar`, so they must be whole numbers.
#
# <details><summary>Hint</summary>
#
# $T / S$ need not be a whole number: divide with `/`, and round the result, not the quotient.
# Python's `range` cannot step by 3.33, but a list comprehension over $i$ can.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ddim_timesteps", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ddim_timesteps(num_train_timesteps: int, num_inference_steps: int) -> list[int]:
    """Return the timesteps that a run of S = num_inference_steps keeps of T = num_train_timesteps.

    Returns S ints with trailing spacing, in descending order; the first one is T - 1.
    """
    ### BEGIN SOLUTION
    stride = num_train_timesteps / num_inference_steps
    kept = [num_train_timesteps - i * stride for i in range(num_inference_steps)]
    return [round(position) - 1 for position in kept]
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_ddim_timesteps", "locked": true, "schema_version": 3, "solution": false, "task": false}
from itertools import pairwise


def expect_steps(total: int, steps: int, expected: list[int], causes: dict[tuple, str]) -> None:
    """Compare timesteps; if they differ, name a likely cause."""
    found = explained(ddim_timesteps, total, steps)
    assert found is not None, "ddim_timesteps returns None. Is there a `return`?"
    assert hasattr(found, "__len__"), f"ddim_timesteps returns a {type(found).__name__}, not a list"
    found = [value.item() if hasattr(value, "item") else value for value in found]
    asked = f"for T = {total} and S = {steps}: "
    plain = all(isinstance(value, int | float) for value in found)
    assert plain, f"{asked}{found}, expected a flat list of whole numbers"
    assert all(map(math.isfinite, found)), f"{asked}{found}, which contains NaN or infinity"
    message = f"{asked}{found}, expected {expected}. "
    why = "the timesteps are round(T - i T/S) - 1, for i = 0, 1, ..., S - 1"
    if steps < total and found and (found[0], found[-1]) == (total - 1, 0):
        why = (
            "they run from T - 1 to 0, as in linspace; trailing spacing ends about T/S - 1 above 0"
        )
    why = causes.get(tuple(found), why)
    if sorted(found) == sorted(expected) and found != expected:
        why = "the order is wrong; sampling starts at the noisiest timestep, T - 1"
    gaps = sorted(before - after for before, after in pairwise(found))
    if gaps and gaps[-1] - gaps[0] > 1:
        why = f"the gaps between them are {gaps[0]} to {gaps[-1]}; all must be about T/S"
    if len(found) != steps:
        why = f"{len(found)} timesteps are returned, not S = {steps}"
    assert found == expected, f"{message}{why[0].upper()}{why[1:]}."
    whole = all(type(value) is int for value in found)
    assert whole, f"{asked}{found}, expected ints only: they must index abar"


causes = {
    (8, 6, 4, 2, 0): "this is leading spacing (or one too low); the first timestep is T - 1",
    (9, 7, 4, 2, 0): "this is linspace spacing, which also keeps t = 0",
    (10, 8, 6, 4, 2): "one too high: t counts from 0, so the first one is T - 1",
    (7, 5, 3, 1, -1): "i runs from 0 to S - 1; here it starts at 1",
    (9, 8, 7, 6, 5): "these are neighbours; skip T/S - 1 timesteps between two kept ones",
    (4, 3, 2, 1, 0): "these are only the last S timesteps; spread them over all T",
}
expect_steps(10, 5, [9, 7, 5, 3, 1], causes)
causes = {
    (13, 11, 9, 7, 5): "T // S drops the remainder: divide with /",
    (13, 10, 7, 4, 1): "rounded down; round to the nearest whole number, then subtract 1",
    (13, 11, 8, 5, 2): "rounded up; round to the nearest whole number, then subtract 1",
}
expect_steps(14, 5, [13, 10, 7, 5, 2], causes)
expect_steps(10, 1, [9], {(0,): "a single step also starts at the noise, T - 1"})
expect_steps(4, 4, [3, 2, 1, 0], {})
print("ddim_timesteps: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_ddim_timesteps", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("ddim_timesteps", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Ten of a thousand timesteps, with three spacings. A sampler starts from *pure*
# noise, so at the first timestep nothing else should be left. Otherwise the network is told that
# the noise hides a faint digit, and it acts on this.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three rows of ten dots between t = 0 and 999. Trailing starts at 999 and ends at 99; leading starts at 900 and ends at 0; linspace includes both ends."}, "figure": {"caption": "Three ways to keep 10 of 1000 timesteps.", "name": "fig-03-timesteps"}}
spacings = "trailing", "leading", "linspace"
kept = {name: samplers.inference_timesteps(1000, 10, name) for name in spacings}
plotting.plot_timesteps(kept)

# %% tags=["hide-input"]
left = {name: float(schedule.alphas_cumprod[steps[0]]) for name, steps in kept.items()}
leading_of_4 = samplers.inference_timesteps(1000, 4, "leading")[0]
Markdown(
    f"At its first timestep, {kept['trailing'][0]}, the trailing run expects that "
    f"{left['trailing']:.1e} of the variance comes from the digit. The leading run starts at "
    f"{kept['leading'][0]} and expects {left['leading']:.1%}. With 4 steps instead of 10 it would "
    f"expect {float(schedule.alphas_cumprod[leading_of_4]):.0%}."
)

# %% [markdown]
# ## Exercise 4: how much noise a step adds
#
# The network was trained for one thing only: $x_t$ must look like a digit mixed with noise in the
# shares of exercise 1. A sampler is free to choose *how* it gets from one mixture to the next.
# DDIM ([Song et al., 2021](https://arxiv.org/abs/2010.02502), eq. 16) offers a whole family of
# ways. A parameter $\eta$ controls how much **fresh** noise is added:
#
# $$ \sigma_t = \eta\, \sqrt{\frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}}\;
# \sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_{t-1}}} $$
#
# Here "$t - 1$" means the **previous kept timestep**, the one that the sampler visits next. In a
# run of 10 steps it is 100 below $t$, not 1. To make this mistake impossible, the function takes
# the two values `abar_t` and `abar_prev`, not indices. $\eta = 0$ adds nothing. $\eta = 1$ on *all*
# timesteps adds exactly DDPM's $\sqrt{\tilde\beta_t}$ (to see this, substitute $1 - \bar\alpha_t /
# \bar\alpha_{t-1} = \beta_t$).
#
# <details><summary>Hint</summary>
#
# `abar_prev` is the *larger* of the two: less noise means more signal. If a square root gives
# `nan`, a fraction is upside down. Do not use a clamp to remove the `nan`: it hides the mistake,
# and $\sigma$ stays wrong.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ddim_sigma", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ddim_sigma(abar_t: Tensor, abar_prev: Tensor, eta: float) -> Tensor:
    """Compute the standard deviation of the fresh noise in one DDIM step.

    abar_t, abar_prev: scalars, shape (), at the current and the previous kept timestep;
    eta: from 0 (no fresh noise) to 1 (as much as DDPM). Returns a scalar, shape ().
    """
    ### BEGIN SOLUTION
    ratio = (1 - abar_prev) / (1 - abar_t)
    lost = 1 - abar_t / abar_prev
    return eta * (ratio * lost).sqrt()
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_ddim_sigma", "locked": true, "schema_version": 3, "solution": false, "task": false}
def sigma_of(abar_t: float, abar_prev: float, eta: float) -> object:
    """Call ddim_sigma; turn a plain number into a tensor."""
    found = on_copies(ddim_sigma, torch.tensor(abar_t), torch.tensor(abar_prev), eta)
    is_number = not isinstance(found, Tensor) and hasattr(found, "__float__")
    return torch.tensor(float(found)) if is_number else found


nan = (
    "a negative number is under a root. abar_prev > abar_t, so both (1 - abar_prev) / (1 - abar_t) "
    "and 1 - abar_t / abar_prev are between 0 and 1: check the brackets, and which is divided by which"
)
scalar = "It must be a single number."
found = sigma_of(0.36, 0.64, 1.0)
assert not isinstance(found, Tensor) or not found.isnan().any(), f"sigma is NaN: {nan}"
rule = "sigma = eta sqrt((1 - abar_prev) / (1 - abar_t)) sqrt(1 - abar_t / abar_prev)"
causes = {
    "1 - sqrt(abar) stands where 1 - abar belongs": 0.4677,
    "this is sigma squared; the square root is missing": 0.2461,
    "the second factor is outside the square root": 0.3281,
    "the first factor is outside the square root": 0.3721,
    "the factor sqrt(1 - abar_t / abar_prev) is missing": 0.75,
    "the factor sqrt((1 - abar_prev) / (1 - abar_t)) is missing": 0.6614,
    "the first fraction is upside down": 0.8819,
    "the difference abar_prev - abar_t must be divided by abar_prev": 0.3969,
    "the second factor compares the two steps: 1 - abar_t / abar_prev, not 1 - abar_t": 0.6,
    "multiply the two roots instead of adding them": 1.4114,
    "eta = 1 must give noise; a clamp at 0 may hide a fraction that is upside down": 0.0,
}
expect("sigma at eta = 1", found, 0.4961, causes, scalar, rule)
causes = {
    "eta is not used": 0.4961,
    "eta is squared; multiply the square root by eta itself": 0.124,
    "eta is inside the square root; it belongs in front of it": 0.3508,
}
expect("sigma at eta = 0.5", sigma_of(0.36, 0.64, 0.5), 0.248, causes, scalar, rule)
zero = {"eta is not used": 0.4961}
expect("sigma at eta = 0", sigma_of(0.36, 0.64, 0.0), 0.0, zero, scalar, rule)
expect("sigma on the last step, abar_prev = 1", sigma_of(0.9, 1.0, 1.0), 0.0, {}, scalar, rule)
print("ddim_sigma: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_ddim_sigma", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("ddim_sigma", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Left: on all timesteps, the curve of $\eta = 1$ matches DDPM's posterior. Right:
# with 50 kept timesteps, each step spans a larger gap and so adds more noise at once.


# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels of standard deviation against t for eta 1, 0.5 and 0. Left: small values on all timesteps, with DDPM's values on the curve of eta 1. Right: larger values on fifty kept timesteps."}, "figure": {"caption": "Fresh noise per step, with all timesteps and with 50 of them.", "name": "fig-03-sigma"}}
def noise_added(count: int) -> dict[str, tuple[list[int], Tensor]]:
    """Return sigma at each of `count` kept timesteps except the last, for three values of eta."""
    steps = samplers.inference_timesteps(1000, count)
    abar = schedule.alphas_cumprod[steps]
    etas = (1.0, 0.5, 0.0)
    sigma = [samplers.ddim_sigma(abar[:-1], abar[1:], eta) for eta in etas]
    return {f"η = {eta:g}": (steps[:-1], s) for eta, s in zip(etas, sigma, strict=True)}


abar, betas, points = schedule.alphas_cumprod, schedule.betas, list(range(40, 1000, 80))
posterior = (betas[1:] * (1 - abar[:-1]) / (1 - abar[1:])).sqrt()[[t - 1 for t in points]]
panels = {"all 1000 timesteps": noise_added(1000), "50 kept timesteps": noise_added(50)}
figure = plotting.plot_noise_added(panels)
figure.axes[0].plot(points, posterior, "kx", ms=5, label="DDPM's posterior")
figure.axes[0].legend(frameon=False)
figure

# %% [markdown]
# ## Exercise 5: one step of DDIM
#
# Now you have all the parts. Predict the digit, then mix it again with noise, in the shares of the
# previous kept timestep. This noise has two parts: the *old* noise, which the network predicts, and
# $\sigma_t$ of *fresh* noise (Song et al., eq. 12):
#
# $$ x_{t-1} = \sqrt{\bar\alpha_{t-1}}\; \hat x_0 \;+\;
# \underbrace{\sqrt{1 - \bar\alpha_{t-1} - \sigma_t^2}\;\, \varepsilon_\theta}_{\text{old noise}}
# \;+\; \underbrace{\sigma_t\; \text{noise}}_{\text{fresh}} $$
#
# The variances of the two kinds of noise add up to $1 - \bar\alpha_{t-1}$, as exercise 1 requires:
# the more fresh noise a step adds, the less old noise it keeps. On the last step
# $\bar\alpha_{t-1} = 1$, and only $\hat x_0$ remains.
#
# With $\eta = 0$ nothing random is left: the starting noise determines the picture.
#
# <details><summary>Hint</summary>
#
# Write four lines, one per quantity: $\sigma_t$ (your `ddim_sigma`, or its formula again),
# $\hat x_0$, the scale of the old noise, and the sum. Both $\hat x_0$ and the old noise use the
# *same* $\varepsilon_\theta$; of the two, only $\hat x_0$ uses `abar_t`. If the result is `nan`,
# look for the mistake in $\sigma_t$ and do not hide it with a clamp.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "ddim_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ddim_step(
    x_t: Tensor, eps: Tensor, abar_t: Tensor, abar_prev: Tensor, eta: float, noise: Tensor
) -> Tensor:
    """Take one step of DDIM, from x_t to the previous kept timestep.

    x_t, eps (the predicted noise), noise (a fresh draw): (B, ...); abar_t, abar_prev: scalars,
    shape (), where abar_prev = 1 on the last step; eta: a float in [0, 1].
    Returns x_prev, of the shape of x_t.
    """
    ### BEGIN SOLUTION
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
    old_noise = (1 - abar_prev - sigma**2).sqrt() * eps
    return abar_prev.sqrt() * x0_hat + old_noise + sigma * noise
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_ddim_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
x_t = torch.tensor([[1.0, -0.2]])
eps = torch.tensor([[0.5, -1.0]])
noise = torch.tensor([[1.0, -2.0]])
shape_hint = "The step keeps the shape of x_t."


def step_of(x_t: Tensor, abar_prev: float, eta: float) -> object:
    """Call ddim_step twice at abar_t = 0.36; both results must be equal."""
    pair = torch.tensor(0.36), torch.tensor(abar_prev)
    return repeated(f"x_prev at eta = {eta}", ddim_step, x_t, eps, *pair, eta, noise)


causes = {
    "x0_hat is not divided by sqrt(abar_t)": [[0.6, 0.6]],
    "divide the whole difference by sqrt(abar_t): brackets are missing": [[0.3333, 1.1333]],
    "x0_hat is divided by abar_t; take its square root": [[1.6667, 1.6667]],
    "sqrt forgotten: x0_hat subtracts sqrt(1 - abar_t) eps from x_t": [[1.1333, 0.7333]],
    "for x0_hat, subtract the noise from x_t; do not add it": [[2.3333, -1.6667]],
    "x0_hat subtracts sqrt(1 - abar_t) eps, not (1 - sqrt(abar_t)) eps": [[1.3333, 0.3333]],
    "x0_hat is computed with noise, the fresh draw; it needs eps": [[0.3333, 2.3333]],
    "the result is eps; x0_hat and eps are swapped": [[0.5, -1.0]],
    "the result is x_t: x0_hat is x_t without its noise, and needs abar_t": [[1.0, -0.2]],
    "you used abar_t where abar_prev belongs, before eps": [[1.4, 0.2]],
}
found = step_of(x_t, 1.0, 0.0)
rule = "the last step returns x0_hat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)"
expect("the last step (abar_prev = 1), x0_hat", found, [[1.0, 1.0]], causes, shape_hint, rule)
causes = {
    "x0_hat stands where eps belongs": [[1.4, 1.4]],
    "the old noise, the term with eps, is missing": [[0.8, 0.8]],
    "noise is added at eta = 0, where sigma is 0": [[2.1, -1.8]],
    "the square root of 1 - abar_prev - sigma^2 is missing": [[0.98, 0.44]],
    "the square root of abar_prev is missing": [[0.94, 0.04]],
    "x0_hat is not scaled by sqrt(abar_prev)": [[1.3, 0.4]],
    "you used abar_t where abar_prev belongs, before eps": [[1.2, 0.0]],
    "you used abar_t where abar_prev belongs, before x0_hat": [[0.9, 0.0]],
    "you used x_t where x0_hat belongs, or x0_hat and eps are swapped": [[1.0, -0.2]],
    "eta has no effect: at eta = 0, sigma is 0": [[1.4648, -0.5297]],
    "eta has no effect under the square root": [[0.9688, 0.4625]],
    "1 - sqrt(abar_prev) is not sqrt(1 - abar_prev)": [[0.9, 0.6]],
    "eps and noise are swapped: the old noise is eps": [[1.4, -0.4]],
}
found = step_of(x_t, 0.64, 0.0)
rule = "at eta = 0, x_prev = sqrt(abar_prev) x0_hat + sqrt(1 - abar_prev) eps"
expect("x_prev at eta = 0", found, [[1.1, 0.2]], causes, shape_hint, rule)
causes = {
    "eta has no effect: this is the step at eta = 0": [[1.1, 0.2]],
    "the noise is subtracted; add it": [[0.8251, 0.7497]],
    "the old noise is not reduced: its scale is sqrt(1 - abar_prev - sigma^2)": [[1.348, -0.2961]],
    "sigma is outside the square root; sigma^2 belongs under it": [[1.224, -0.048]],
    "sigma^2 is outside the square root; it belongs under it": [[1.3173, -0.2346]],
    "sigma must be squared under the square root": [[1.2153, -0.0307]],
    "sigma^2 is added under the square root; subtract it": [[1.3727, -0.3453]],
    "the noise is not scaled; multiply it by sigma": [[2.0732, -1.7463]],
    "the noise is scaled by eta alone; multiply it by sigma": [[1.5732, -0.7463]],
    "the noise is scaled by sigma^2; multiply it by sigma": [[1.1347, 0.1306]],
    "the noise is not used": [[1.0732, 0.2537]],
    "eta is not used in sigma": [[1.4648, -0.5297]],
    "the sigma under the square root lacks eta": [[1.2168, -0.0336]],
    "eta is used twice; sigma already includes it": [[1.2175, -0.0351]],
    "eta is used twice before noise; sigma already includes it": [[1.1972, 0.0056]],
    "eta is used twice under the square root; sigma already includes it": [[1.3416, -0.2831]],
    "eta belongs in front of the root in sigma, not inside it": [[1.3942, -0.3883]],
    "eta belongs in front of the root in sigma, not inside it, also before noise": [
        [1.4239, -0.4479]
    ],
    "eps and noise are swapped: sigma scales the fresh noise": [[1.4703, -0.5407]],
}
found = step_of(x_t, 0.64, 0.5)
rule = "x_prev = sqrt(abar_prev) x0_hat + sqrt(1 - abar_prev - sigma^2) eps + sigma noise"
expect("x_prev at eta = 0.5", found, [[1.3212, -0.2424]], causes, shape_hint, rule)
found = step_of(x_t, 0.64, 1.0)
expect("x_prev at eta = 1, DDPM's step", found, [[1.4648, -0.5297]], {}, shape_hint, rule)
last = {"noise is added on the last step; at abar_prev = 1, sigma is 0": [[1.8, -0.6]]}
found = step_of(x_t, 1.0, 1.0)
expect("the last step at eta = 1", found, [[1.0, 1.0]], last, shape_hint, rule)
clips = {f"do not clip to [-{c}, {c}]": [[c, max(-c, -2)]] for c in (1, 2, 3, 5, 10)}
found = step_of(10 * x_t, 1.0, 0.0)
clips["do not clip to [0, 1]"] = [[1, 0]]
expect("the last step, with a large x_t", found, [[16.0, -2.0]], clips, shape_hint, rule)
image, abar_t, abar_prev = torch.ones(2, 1, 3, 3), torch.tensor(0.36), torch.tensor(0.64)
shape = on_copies(ddim_step, image, image, abar_t, abar_prev, 0.5, image).shape
assert shape == image.shape, (
    f"the step returns shape {tuple(shape)} for images of shape (2, 1, 3, 3)"
)
print("ddim_step: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_ddim_step", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("ddim_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** The library's DDIM at $\eta = 0$ with the shipped U-Net. It starts from the same
# noise as the film of DDPM above, but it ends with other digits. It adds no fresh noise, so the
# predicted digit settles early and then only gets sharper.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Film strip of three digits under DDIM. Upper block: noise that clears up steadily. Lower block: the predicted digit, a blur at first, soon settled and then sharper and sharper."}, "figure": {"caption": "DDIM at work, from the same starting noise: $x_t$ above, the predicted clean digit below.", "name": "fig-03-ddim-film"}}
film = plotting.Film(few)
samplers.sample_ddim(
    shipped.model,
    schedule,
    (3, 1, 28, 28),
    num_inference_steps=few,
    generator=torch.Generator().manual_seed(3),
    callback=film,
)
plotting.plot_film(film.frames)

# %% [markdown]
# And now **your** sampler: the shipped U-Net, your `ddim_step`, ten steps, sixteen digits.

# %% mystnb={"image": {"alt": "Sixteen digits in a grid of four by four, drawn in ten steps."}, "figure": {"caption": "Sixteen digits drawn with your own step function, with ten network evaluations each.", "name": "fig-03-yours"}}
from mnistdiff import samplers
from mnistdiff.data import to_unit
from mnistdiff.metrics import CONFIDENT, read_digits


@torch.no_grad()
def sample_with(ddim_step, num_inference_steps: int, eta: float = 0.0) -> Tensor:
    """Draw sixteen digits, in [-1, 1], with the given step function."""
    steps = samplers.inference_timesteps(1000, num_inference_steps)
    abar = torch.cat([schedule.alphas_cumprod[steps], torch.ones(1)])
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(16, 1, 28, 28, generator=generator)
    for i, t in enumerate(steps):
        eps = shipped.model(x, torch.full((16,), t))
        noise = torch.randn(x.shape, generator=generator)
        x = ddim_step(x, eps, abar[i], abar[i + 1], eta, noise)
    return x


try:
    mine, reference = sample_with(ddim_step, 10), sample_with(samplers.ddim_step, 10)
    sure = int((read_digits(to_unit(mine)).confidence > CONFIDENT).sum())
    print(f"the judge reads {sure} of your 16 digits with confidence;")
    print(f"largest difference from the library's pixels: {(mine - reference).abs().max():.1e}")
    display(plotting.plot_grids({"your ddim_step": to_unit(mine)}, ["10 steps, η = 0"]))
except Exception as error:  # an unfinished exercise must not stop the notebook
    print(f"Not yet ({type(error).__name__}: {error}).")
    print("Finish exercises 4 and 5, then run this cell again.")

# %% [markdown]
# ## Training a U-Net for a minute
#
# From here on the cells are given. They use the library's functions, so a mistake in your functions
# cannot affect them. First the settings: the report's Table 4 beside ours.

# %%
from mnistdiff.experiments import fit_unet, pixel_training

network, fit = fit_unet(settings)
here = pixel_training(settings.pixel.epochs)

# %% tags=["hide-input"]
from mnistdiff.diffusion import PREDICTION_TYPE
from mnistdiff.experiments import markdown_table

rows = [
    ["training images", "60,000", "60,000", f"{len(train.images):,}"],
    ["epochs", PIXEL_SETTINGS["epochs"], shipped_epochs, here.epochs],
    ["batch size", PIXEL_SETTINGS["batch_size"], here.batch_size, here.batch_size],
    ["learning rate", PIXEL_SETTINGS["learning_rate"]] + 2 * [f"{here.learning_rate:g}, falling"],
    ["optimiser", "not stated"] + 2 * [here.optimiser.capitalize()],
    ["timesteps T", PIXEL_SETTINGS["timesteps"]] + 2 * [schedule.num_train_timesteps],
    ["schedule", "not stated", model_card["schedule"], "cosine"],
    ["the network predicts", "noise", model_card["prediction_type"], PREDICTION_TYPE],
    ["averaged weights (EMA)", "no"] + 2 * [f"decay {here.ema_decay:g}"],
    ["DDIM steps", PIXEL_SETTINGS["ddim_steps"]] + 2 * [few],
    ["DDIM eta", PIXEL_SETTINGS["ddim_eta"]] + 2 * ["0, 0.5, 1"],
]
cells = [[str(cell).replace("_prediction", "") for cell in row] for row in rows]
Markdown(markdown_table(["Table 4", "report", "shipped U-Net", "trained here"], cells))

# %% tags=["hide-input"]
from mnistdiff.training import DiffusionLoss
from mnistdiff.unet import UNet


def test_loss(network: UNet) -> float:
    """Return the squared error on test digits, with the same timesteps and noise every time."""
    digits = to_signed(test.images[: settings.train_size // 16])
    with torch.no_grad():
        losses = DiffusionLoss(schedule, PREDICTION_TYPE)(
            network, digits, torch.Generator().manual_seed(0)
        )
    return float(losses["total"])


seconds = model_card.get("train_seconds")
hours = f"{seconds / 3600:.1f} hours" if seconds is not None else "hours"
rows = [["an untrained network", "–", f"{test_loss(UNet().eval()):.3f}"]]
rows += [[f"epoch {i}", f"{row['total']:.3f}", ""] for i, row in enumerate(fit.history, start=1)]
rows[-1][-1] = f"{test_loss(network):.3f}"
rows.append(["the shipped U-Net", "–", f"{test_loss(shipped.model.network):.3f}"])
display(Markdown(markdown_table(["loss, per pixel", "training digits", "test digits"], rows)))
Markdown(
    f"Training took {fit.seconds:.0f} seconds here. The loss falls fast at first. To get from here "
    f"to the last row took {hours}. The loss cannot reach 0: much of the noise is impossible to "
    "predict."
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two grids of sixteen digits from the same noise: noisy blotches, hardly a digit among them, from the network trained here, and clear digits from the shipped one."}, "figure": {"caption": "The same noise through the U-Net trained here and through the shipped one.", "name": "fig-03-trained-here"}}
from mnistdiff.diffusion import generate, pixel_model

grids = {
    f"trained here, {here.epochs} epochs of {len(train.images):,} digits": pixel_model(network),
    f"shipped, {shipped_epochs} epochs of 60,000 digits": shipped,
}
drawn = {name: generate(model, 16, "ddim", few).images for name, model in grids.items()}
plotting.plot_grids(drawn, [f"DDIM, {few} steps"] * 2)

# %% [markdown]
# A minute on two cores is not enough for a good diffusion model. **Everything below is drawn with
# the shipped U-Net**, which this project trained on full MNIST.
#
# ## Figure 3: DDPM beside DDIM


# %%
from mnistdiff.diffusion import generate
from mnistdiff.metrics import wilson_interval


def confident(images: Tensor) -> tuple[int, tuple[float, float]]:
    """Count the digits that the judge reads with confidence; add the share's 95 % interval."""
    count = int((read_digits(images).confidence > CONFIDENT).sum())
    return count, wilson_interval(count, len(images))


ddpm = generate(shipped, settings.gallery, "ddpm", settings.pixel.ddpm_steps, seed=1)
ddim = generate(shipped, settings.gallery, "ddim", few, seed=1)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two grids of digits side by side, by DDPM and by DDIM."}, "figure": {"caption": "Figure 3 of the report, reproduced: DDPM beside DDIM, with the share that the judge reads confidently (95 % interval) and the time.", "name": "fig-03-ddpm-ddim"}}
from mnistdiff.experiments import percent

notes = []
for samples in (ddpm, ddim):
    count, interval = confident(samples.images)
    share = percent(count / settings.gallery, interval)
    notes.append(
        f"read confidently: {share} %\n{samples.seconds:.1f} s for {settings.gallery} digits"
    )
names = f"DDPM, {settings.pixel.ddpm_steps} steps", f"DDIM, {few} steps, η = 0"
plotting.plot_grids(dict(zip(names, (ddpm.images, ddim.images), strict=True)), notes)

# %% tags=["hide-input"]
display(Markdown(run_label))
Markdown(
    f"The report's DDIM took {PIXEL_SETTINGS['ddim_steps']} steps. The interval shows which true "
    f"shares are consistent with the count; with {settings.gallery} digits it is wide. The results "
    "page has the same comparison with 2,000 digits, and 10,000 digits drawn with DDIM."
)

# %% [markdown]
# ## Quality against network evaluations
#
# The cost of a sampler is how often it calls the network. Each sampler draws the same number of
# digits from the same starting noise, with few and with more **evaluations**:
#
# - **DDIM** at $\eta = 0$ and $0.5$, and at $\eta = 1$, which on all timesteps *is* DDPM;
# - **DPM-Solver++(2M)** ([Lu et al., 2022](https://arxiv.org/abs/2211.01095)) and **Heun** (as in
#   [Karras et al., 2022](https://arxiv.org/abs/2206.00364)). At $\eta = 0$ the sampler solves a
#   differential equation. DDIM is Euler's method for it, and these two methods are of second order.
#   Heun calls the network twice per step.
#
# The **FD ratio** compares the distribution of the digits with that of real ones (section 1; 1 is
# as good as real).

# %%
from mnistdiff.evaluation import evaluations, measure
from mnistdiff.plotting import Point

series = {
    "DDIM, η = 0": ("ddim", 0.0),
    "DDIM, η = 0.5": ("ddim", 0.5),
    "DDIM, η = 1 (DDPM)": ("ddim", 1.0),
    "DPM-Solver++(2M)": ("dpmpp_2m", None),
    "Heun": ("heun", None),
}
points = []
for name, (sampler, eta) in series.items():
    for count in settings.curve_evaluations:
        steps = (count + 1) // 2 if sampler == "heun" else count
        samples = generate(shipped, settings.gallery, sampler, steps, eta, seed=1)
        row = measure(samples.images, memorised=False)
        seconds = samples.seconds / settings.gallery
        points.append(Point(name, evaluations(sampler, steps), seconds, row))
row, seconds = measure(ddpm.images, memorised=False), ddpm.seconds / settings.gallery
points.append(Point("DDIM, η = 1 (DDPM)", settings.pixel.ddpm_steps, seconds, row))

# %% tags=["hide-input"] mystnb={"image": {"alt": "FD ratio against network evaluations and against seconds per digit on logarithmic axes, one line per sampler. All lines fall and flatten; Heun starts far above the others; the point of DDPM with 1000 evaluations lies far to the right."}, "figure": {"caption": "Quality against cost, quick version: few digits per point. Lower is better.", "name": "fig-03-quality"}}
plotting.plot_quality(points)

# %% tags=["hide-input"]
rows = [
    [
        point.name,
        f"{point.evaluations:,}",
        f"{1000 * point.seconds:.0f}",
        f"{point.row['fd_ratio']:.2f}",
        percent(
            point.row["confident"] / settings.gallery,
            wilson_interval(point.row["confident"], settings.gallery),
        ),
    ]
    for point in sorted(points, key=lambda point: list(series).index(point.name))
]
worst = max(points, key=lambda point: point.row["fd_ratio"])
head = ["sampler", "evaluations", "ms per digit", "FD ratio", "read confidently, %"]
display(Markdown(markdown_table(head, rows)))
display(Markdown(run_label))
Markdown(
    f"**Quick version**: with {settings.gallery} digits per point, only large differences are "
    "meaningful. The FD ratio looks better than it is, because the distance of so few *real* "
    "digits from the training set is large, too. The results page has curves with far more "
    "digits per point. "
    f"One result is clear already: the worst FD ratio, {worst.row['fd_ratio']:.1f}, belongs to "
    f"{worst.name} with {worst.evaluations} evaluations, but the judge reads "
    f"{worst.row['confident'] / settings.gallery:.0%} of its digits with confidence. A classifier "
    "can be certain about pictures that are all alike or that are not digits: never rely on a "
    "single measure."
)

# %% [markdown]
# ## One more improvement: a bad network as a guide
#
# More steps no longer help when the sampler already follows the network exactly. Then only the
# network's own errors remain. A much worse network, here a twentieth of the size and trained for
# half an epoch, makes errors in the same direction, only larger. So we move away from its
# prediction ([Karras et al., 2024](https://arxiv.org/abs/2406.02507), "autoguidance"):
#
# $$\tilde\epsilon(x_t, t) = \epsilon_{\text{weak}}(x_t, t)
# + s\,\big(\epsilon(x_t, t) - \epsilon_{\text{weak}}(x_t, t)\big), \qquad s > 1 .$$
#
# Section 6 uses the same equation, with a prompt in place of the network's size. As in
# [Kynkäänniemi et al., 2024](https://arxiv.org/abs/2404.07724), the guidance is active only in the
# middle of the trajectory, $500 \le t < 800$. At high noise it would reduce variety, and at low
# noise it costs time and changes little.

# %%
from mnistdiff.diffusion import autoguided
from mnistdiff.guidance import AUTOGUIDANCE

guided = autoguided(shipped, AUTOGUIDANCE)
drawn = {
    "shipped U-Net": generate(shipped, 16, "ddim", few, seed=1),
    f"pushed away from the weak one, s = {AUTOGUIDANCE:g}": generate(
        guided, 16, "ddim", few, seed=1
    ),
}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two grids of sixteen digits from the same noise; nearly all are the same digits, and those on the right have fewer broken strokes."}, "figure": {"caption": "The same noise without and with a bad network as a guide. The results page has both, measured on 10,000 digits and three seeds.", "name": "fig-03-autoguidance"}}
notes = [f"{1000 * samples.seconds / 16:.0f} ms per digit" for samples in drawn.values()]
plotting.plot_grids({name: samples.images for name, samples in drawn.items()}, notes)

# %% [markdown]
# ## A use of determinism: paths between digits
#
# At $\eta = 0$ each starting noise leads to one picture. So we can move *in the noise* and watch
# how the picture changes. The choice of path matters: Gaussian noise in 784 dimensions lies on a
# thin shell of radius $\sqrt{784} = 28$. A straight line between two noises passes through the
# inside of the shell, where the network saw no training examples. So we move along the sphere
# instead (Song et al., appendix D.5).

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four rows of nine digits. Each row turns one digit into another; on the straight line the strokes in the middle are thinner than on the sphere."}, "figure": {"caption": "From one noise to another, on the sphere and on the straight line.", "name": "fig-03-interpolation"}}
weights = torch.linspace(0, 1, 9)
generator = torch.Generator().manual_seed(5)
paths, lengths = [], []
for _ in range(2):
    start, end = torch.randn(2, 1, 28, 28, generator=generator)
    line = torch.stack([torch.lerp(start, end, weight) for weight in weights])
    paths += [samplers.interpolate_noise(start, end, weights), line]
    lengths.append([float(path[4].norm()) for path in paths[-2:]])
noise = torch.cat(paths)
drawn = samplers.sample_ddim(
    shipped.model, schedule, noise.shape, num_inference_steps=few, noise=noise
)
headings = [f"{weight:g}" for weight in weights]
plotting.plot_columns(drawn.split(9), headings, ["sphere", "line"] * 2)

# %% tags=["hide-input"]
Markdown(
    f"At the midpoint, the noise has a length of {lengths[0][0]:.1f} on the sphere and "
    f"{lengths[0][1]:.1f} on the line; fresh noise has a length of about 28. The pictures at "
    f"weight 0.5 have a contrast (standard deviation of the pixels) of {drawn[4].std():.2f} and "
    f"{drawn[13].std():.2f} in the first pair, and of {drawn[22].std():.2f} and "
    f"{drawn[31].std():.2f} in the second."
)

# %% [markdown]
# ## Inversion: a real digit, encoded
#
# The same equation can run backwards, from a picture to the noise that would lead to it: DDIM as an
# *encoder*. Then we decode and compare. Each backward step must use the noise predicted at the
# point where it starts, not at the point where it ends. So the inversion is exact only for small
# steps.

# %%
digits = to_signed(test.images[:8])
decoded = {}
for steps in settings.curve_evaluations:
    encoded = samplers.invert_ddim(shipped.model, schedule, digits, steps)
    decoded[steps] = samplers.sample_ddim(
        shipped.model, schedule, digits.shape, num_inference_steps=steps, noise=encoded
    )

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight columns. Top: real digits. Below: the noise to which each one is encoded. Then the decoded digits for a growing number of steps, closer and closer to the real ones."}, "figure": {"caption": "Real digits, encoded to noise by running DDIM backwards, and decoded again.", "name": "fig-03-inversion"}}
plotting.plot_inversion(digits, encoded, decoded)

# %% tags=["hide-input"]
rows = []
for steps, images in decoded.items():
    error = float((images - digits).square().mean().sqrt()) / 2
    same = int((read_digits(to_unit(images)).digits == test.labels[:8]).sum())
    rows.append([str(steps), f"{error:.3f}", f"{same} of 8"])
head = ["steps each way", "error per pixel (black 0, white 1)", "still read as their label"]
display(Markdown(markdown_table(head, rows)))
Markdown(
    f"Does the code look like noise? At {steps} steps its mean is {encoded.mean():+.2f} and its "
    f"standard deviation is {encoded.std():.2f}; fresh noise has 0 and 1. Look at the codes: where "
    "the digit is plain black they vary too little, and its outline is visible. The decoder "
    "tolerates this."
)

# %% [markdown]
# ## The report's claims, checked
#
# Each verdict is computed from the runs above.

# %% tags=["hide-input"]
faster = ddpm.seconds / ddim.seconds
ddpm_count, ddpm_interval = confident(ddpm.images)
ddim_count, ddim_interval = confident(ddim.images)
overlap = max(ddpm_interval[0], ddim_interval[0]) <= min(ddpm_interval[1], ddim_interval[1])
of = settings.gallery
shares = (
    f"read confidently: DDPM {percent(ddpm_count / of, ddpm_interval)} %, "
    f"DDIM {percent(ddim_count / of, ddim_interval)} %"
)
more = "DDIM" if ddim_count > ddpm_count else "DDPM"
generator = torch.Generator().manual_seed(0)
betas, largest = schedule.betas.double(), 0.0
abar = (1 - betas).cumprod(0)
for t in range(1, 1000):
    x_t, eps, noise = torch.randn(3, 1, 4, generator=generator, dtype=torch.float64)
    by_ddpm = samplers.ddpm_step(x_t, eps, t, betas, abar, noise)
    by_ddim = samplers.ddim_step(x_t, eps, abar[t], abar[t - 1], 1.0, noise)
    largest = max(largest, float((by_ddim - by_ddpm).abs().max()))
claims = [
    (
        "DDIM is many times faster",
        f"{ddpm.seconds:.1f} s against {ddim.seconds:.1f} s: {faster:.0f} times, for "
        f"{settings.pixel.ddpm_steps / few:.0f} times fewer evaluations",
        "holds" if faster > 3 else "**does not hold here**",
    ),
    (
        "at nearly the same quality",
        shares,
        f"no difference detectable with {of} digits" if overlap else "**does not hold here**",
    ),
    (
        "one of them has more readable digits (the report says both)",
        f"{ddpm_count} and {ddim_count} of {of}",
        "**open** here, because the intervals overlap; the results page decides with 2,000"
        if overlap
        else f"{more} has",
    ),
    (
        "DDIM with eta = 1 on every step is DDPM",
        f"largest difference between the two steps, all t: {largest:.0e}",
        "holds" if largest < 1e-6 else "**does not hold here**",
    ),
]
lines = ["| the report says | we measure | verdict |", "|---|---|---|"]
lines += ["| " + " | ".join(claim) + " |" for claim in claims]
display(Markdown("\n".join(lines)))
Markdown(run_label)

# %% [markdown]
# ## Exercise 6: DDPM against DDIM
#
# Write 150 to 250 words, based on the equations and on your own tables and figures:
#
# 1. The network was trained once, for $T$ timesteps. Why can DDIM skip most of them without
#    training again?
# 2. What does $\eta$ change in a step, and what stays the same? Explain $\eta = 0$ and $\eta = 1$.
# 3. In a run of 10 steps, somebody uses `abar[t - 1]` for the previous timestep. What goes wrong?
# 4. What did fewer steps gain and cost *here*, in your numbers? What can your numbers not decide?
#
# *How it is marked (4 points): one point for each of the four answers, if it gives the reason and
# not only the observation; the fourth needs at least two numbers from your own run.*

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain_ddim", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. The loss only ever shows the network pairs $(x_t, t)$ with $x_t$ drawn from $q(x_t \mid x_0)$:
#    it never sees how one timestep follows another. Any sampler whose $x_t$ has these marginals
#    may use the network. DDIM's step is built so that $x_{t-1}$ has the right shares of digit and
#    noise, whichever timestep comes next.
# 2. $\eta$ scales $\sigma_t$: how much of the noise in $x_{t-1}$ is fresh instead of predicted.
#    The total variance, $1 - \bar\alpha_{t-1}$, stays the same, and so does the share of
#    $\hat x_0$. $\eta = 0$ is deterministic: one noise gives one digit. $\eta = 1$ on all timesteps
#    is DDPM.
# 3. The step then removes the noise of only one timestep, but the next call tells the network a
#    $t$ that is 100 lower. $x_t$ holds far more noise than the network is told. At the end noise is
#    left over, and the digit stays grainy or does not appear.
# 4. For example: 1000 evaluations took 20 times as long as 50, and the shares of confidently read
#    digits had overlapping intervals. With a few dozen digits we cannot decide whether DDPM and
#    DDIM differ by a few percent, but we can see that 5 steps of Heun are too few.
#
# **Rubric (4 points)**
#
# - 1: training uses the marginals $q(x_t \mid x_0)$ only (or: the network predicts noise at a given
#   $t$, whatever came before), so other paths with the same marginals are allowed.
# - 1: fresh against predicted noise with the total variance kept, and both ends of $\eta$ named.
# - 1: the mismatch between the noise in $x_t$ and the $t$ that the network is told, or that the
#   sampler stops far from the clean image.
# - 1: at least two own numbers (a time and a quality) *and* a limit: the interval, the number of
#   digits, or one seed.
# - Half a point is possible; "DDIM is faster because it has fewer steps" earns none for the first.
# ### END SOLUTION

# %% [markdown]
# ## Where next
#
# Each step here runs a network over 784 pixels. In section 4 the VAE of section 1 first compresses
# the digit, and the diffusion model works on the *code*: the same samplers, on 50 numbers.
