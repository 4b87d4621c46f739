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
# # 1. The VAE and its β: reconstruction against regularity
#
# *Needs: CPU, about 3 minutes.*
#
# A variational autoencoder (VAE) compresses a digit into a few numbers and draws the digit again
# from them. One weight, $\beta$, decides what those numbers are good for: *copying* the digit they
# came from, or *inventing* new ones. In this notebook you write the three functions at the heart of
# a VAE. Then you vary $\beta$ and watch the trade-off.

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
# - write the reparameterisation trick, the KL divergence and the loss of a $\beta$-VAE, and explain
#   each of them;
# - read a table of losses and tell a VAE that copies from a VAE that has collapsed;
# - describe with measured numbers, not by eye, how $\beta$ affects reconstructions and new samples;
# - explain why $\beta = 1$ with a squared error is a stronger prior than it looks.

# %%
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnistdiff.course.expect import as_number, expect, on_copies, repeated, require_gradients
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

# %% tags=["hide-input"] mystnb={"image": {"alt": "A grid of handwritten digits from the training set, white on black."}, "figure": {"caption": "Some of the digits that the models below are trained on.", "name": "fig-01-digits"}}
plotting.plot_digits(train.images[:30], columns=10)

# %% [markdown]
# ## The model
#
# We imagine that each digit $x$ was made in two steps: a code $z$ was drawn from a standard
# normal distribution, and then a **decoder** drew the picture from it. For a given picture, an
# **encoder** estimates which codes could have produced it ([Kingma and Welling,
# 2014](https://arxiv.org/abs/1312.6114)):
#
# | | equation | here |
# |---|---|---|
# | prior | $p(z) = \mathcal N(0, I)$ | `torch.randn(count, latent_dim)` |
# | decoder | $p(x \mid z)$, with mean $\hat x(z)$ | `recon = model.decode(z)` |
# | encoder | $q(z \mid x) = \mathcal N\big(\mu(x), \operatorname{diag} \sigma^2(x)\big)$ | `mu, logvar = model.encode(x)` |
#
# The encoder outputs $\log \sigma^2$, called `logvar`. It may be any real number, and $\sigma^2$ is
# always positive. To **reconstruct** a digit, encode it and decode the code. To **sample** a new
# digit, decode noise.
#
# Training maximises a lower bound on $\log p(x)$, the *ELBO*. Its negative is a loss with two
# terms. The weight $\beta$ between them is the theme of this notebook ([Higgins et al.,
# 2017](https://openreview.net/forum?id=Sy2fzU9gl)):
#
# $$ L \;=\; \underbrace{\mathbb E_{q(z \mid x)}\big[-\log p(x \mid z)\big]}_{L_\text{recon}: \text{ draw this digit}}
# \;+\; \beta \; \underbrace{D_\text{KL}\big(q(z \mid x) \,\|\, p(z)\big)}_{L_\text{KL}: \text{ keep codes near the prior}} $$

# %% [markdown]
# ## Exercise 1: the reparameterisation trick
#
# The loss needs a random draw from $q(z \mid x)$, and training needs the gradient of that draw with
# respect to $\mu$ and $\sigma$. A random draw has no gradient. The trick is to draw the randomness
# *outside* and to make $z$ an ordinary function of it:
#
# $$ z = \mu + \sigma \odot \varepsilon, \qquad \varepsilon \sim \mathcal N(0, I) $$
#
# The noise $\varepsilon$ is an argument of your function, so the same call always gives the same
# $z$.
#
# <details><summary>Hint</summary>
#
# The encoder gives $\log \sigma^2$. First write $\sigma$ in terms of it: what does a square root do
# to an exponent?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "reparameterize", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reparameterize(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """Turn standard normal noise into a sample from the encoder's Gaussian.

    mu, logvar, noise: (B, D), where logvar is log(sigma^2). Returns z: (B, D).
    """
    ### BEGIN SOLUTION
    sigma = torch.exp(0.5 * logvar)
    return mu + sigma * noise
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_reparameterize", "locked": true, "schema_version": 3, "solution": false, "task": false}
mu = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
logvar = torch.tensor([[0.0, 1.386294], [-1.386294, 2.197225]])
noise = torch.tensor([[1.0, -1.0], [2.0, 0.5]])
causes = {
    "you scaled by sigma^2; logvar is log(sigma^2), and log(sigma) is half of it": [
        [1.0, -3.0],
        [2.5, 3.5],
    ],
    "you scaled by logvar itself, which is a logarithm": [[0.0, -0.3863], [-0.7726, 0.0986]],
    "the noise is added unscaled, and sigma by itself: multiply them": [[2.0, 2.0], [4.5, 2.5]],
    "the noise is added unscaled; multiply it by sigma": [[1.0, 0.0], [4.0, -0.5]],
    "the noise is not used": [[0.0, 1.0], [2.0, -1.0]],
    "mu is not added": [[1.0, -2.0], [1.0, 1.5]],
    "the sign of the noise is wrong": [[-1.0, 3.0], [1.0, -2.5]],
}
z = repeated("z", reparameterize, mu, logvar, noise)
rule = "z is mu plus sigma times noise; logvar = log(sigma^2), so sigma = exp(logvar / 2)"
expect("z", z, [[1.0, -1.0], [3.0, 0.5]], causes, rule=rule)

mu = torch.tensor([[0.5]], requires_grad=True)
logvar = torch.tensor([[0.0]], requires_grad=True)
z = on_copies(reparameterize, mu, logvar, torch.tensor([[2.0]]))
require_gradients(z, mu=mu, logvar=logvar)
expect("dz/dmu", mu.grad, [[1.0]], {}, rule=rule)
expect("dz/dlogvar", logvar.grad, [[1.0]], {"sigma = exp(logvar / 2), not exp(logvar)": [[2.0]]})
print("reparameterize: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_reparameterize", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("reparameterize", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Three encoders move the same noise: $\mu$ sets the centre of each cloud, and
# $\sigma$ sets its width.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three clouds of points: a round one at the origin, a small round one up on the right, and a wide flat one down on the left."}, "figure": {"caption": "The same cloud of noise after three encoders.", "name": "fig-01-reparameterize"}}
from mnistdiff.vae import VAE

cloud = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
encoders = {
    "μ = (0, 0), σ = (1, 1)": ((0.0, 0.0), (1.0, 1.0)),
    "μ = (4, 3), σ = (0.4, 0.4)": ((4.0, 3.0), (0.4, 0.4)),
    "μ = (−3, −4), σ = (2, 0.3)": ((-3.0, -4.0), (2.0, 0.3)),
}
moved = {
    label: VAE.reparameterize(torch.tensor(mean), 2 * torch.tensor(width).log(), cloud)
    for label, (mean, width) in encoders.items()
}
plotting.plot_points(moved)

# %% [markdown]
# ## Exercise 2: the KL divergence
#
# The second term measures how far the encoder's Gaussian is from the prior. By definition it is an
# average over samples from $q$,
#
# $$ D_\text{KL}(q \,\|\, p) = \mathbb E_{z \sim q}\big[\log q(z) - \log p(z)\big], $$
#
# and it can be estimated for any two distributions:

# %%
q = torch.distributions.Normal(loc=1.0, scale=0.5)
p = torch.distributions.Normal(loc=0.0, scale=1.0)
torch.manual_seed(0)
draws = q.sample((100_000,))
estimate = (q.log_prob(draws) - p.log_prob(draws)).mean()
print(f"estimated from {len(draws):,} draws: {estimate:.3f} nats")

# %% [markdown]
# For two Gaussians the integral has a closed form, without random noise and with an exact gradient.
# For one image, summed over the $D$ latent dimensions:
#
# $$ L_\text{KL} = \frac12 \sum_{d=1}^{D} \left( \mu_d^2 + \sigma_d^2 - 1 - \log \sigma_d^2 \right) $$
#
# **Sum over the $D$ dimensions, average over the $B$ images** of the batch. (Averaging over $D$
# as well would silently divide $\beta$ by $D$.)
#
# <details><summary>Hint</summary>
#
# Two of the four terms are $\sigma^2$ and $\log \sigma^2$. The second one is given, and the first
# is one function away. Check your result against the estimate above, with $\mu = 1$ and
# $\sigma = 0.5$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "kl_divergence", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """Compute the KL divergence of the encoder's Gaussian from the standard normal prior, in nats.

    mu, logvar: (B, D), where logvar is log(sigma^2). Returns a scalar, shape ():
    the sum over the D dimensions, averaged over the B images.
    """
    ### BEGIN SOLUTION
    per_dimension = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)
    return per_dimension.sum(dim=1).mean()
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_kl_divergence", "locked": true, "schema_version": 3, "solution": false, "task": false}
zeros = torch.zeros(2, 2)
found = on_copies(kl_divergence, zeros, zeros)
causes = {
    "the -1 is missing": 1.0,
    "the 1 is added; subtract it": 2.0,
    "sigma^2 is missing; or it is logvar itself, without the exponential": -1.0,
}
rule = "a Gaussian has a KL of 0 from itself, here with mu = 0, sigma = 1 and logvar = 0"
expect("the KL of the prior with itself", found, 0.0, causes, rule=rule)

mu = torch.tensor([[1.0, -2.0], [3.0, 0.0], [1.0, 1.0]])
causes = {
    "you summed over the images too; average over them": 8.0,
    "you averaged over the dimensions too; sum over them": 1.3333,
    "you summed over the images and averaged over the dimensions: it is the other way round": 4.0,
    "the factor 1/2 is missing": 5.3333,
    "the sign is wrong; the KL is never negative": -2.6667,
    "mu must be squared": 0.6667,
    "mu must be squared; do not take its absolute value": 1.3333,
    "square each entry of mu, before the sum": 2.3333,
}
found = on_copies(kl_divergence, mu, torch.zeros(3, 2))
rule = "with sigma = 1, the KL of an image is the sum of mu^2 / 2; take the mean over the images"
expect("the KL of three images", found, 2.6667, causes, rule=rule)

causes = {
    "the sign is wrong; the KL is never negative": -0.8069,
    "logvar is already log(sigma^2): exp(logvar) is sigma^2, do not square it again": 6.1137,
    "the factor 1/2 is missing, or stands before mu^2 only: it belongs before all terms": 1.6137,
    "you used sigma where the equation has sigma^2": -0.1931,
    "logvar is already log(sigma^2): do not double it": 5.4206,
    "this is the KL of the prior from the encoder's Gaussian; swap the two": 0.3181,
    "the log(sigma^2) term is missing, or -1 stands in its place": 1.5,
    "logvar must be subtracted, not added": 2.1931,
}
sigma_2 = torch.tensor([[1.386294]])  # sigma = 2, so sigma^2 = 4
found = on_copies(kl_divergence, torch.zeros(1, 1), sigma_2)
rule = "with mu = 0 the KL is (sigma^2 - 1 - log(sigma^2)) / 2, here with sigma^2 = 4"
expect("the KL of one image with sigma = 2", found, 0.8069, causes, rule=rule)

mu = torch.tensor([[1.0, -2.0]], requires_grad=True)
logvar = torch.tensor([[1.386294, 0.0]], requires_grad=True)
loss = on_copies(kl_divergence, mu, logvar)
require_gradients(loss, mu=mu, logvar=logvar)
cut = "every term must pass on its gradient: no .detach() or .item() in any of them"
expect("d KL / d mu", mu.grad, [[1.0, -2.0]], {}, rule=cut)
expect(
    "d KL / d logvar",
    logvar.grad,
    [[1.5, 0.0]],
    {"no gradient flows through exp(logvar)": [[-0.5, -0.5]]},
    rule=cut,
)
print("kl_divergence: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_kl_divergence", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("kl_divergence", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** At $\mu = 1$, $\sigma = 0.5$ your function agrees with the estimate above to two
# decimals. The figure shows what a code costs in one dimension. The cost grows with the square of
# $\mu$, and an encoder that is very *certain* (small $\sigma$) pays as well.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two curves. KL against mu is a parabola with its minimum 0 at mu 0. KL against sigma is 0 at sigma 1 and rises steeply towards small sigma."}, "figure": {"caption": "The cost of one latent dimension, in nats. It is zero only at the prior.", "name": "fig-01-kl"}}
from matplotlib import rc_context
from matplotlib.figure import Figure

from mnistdiff.vae import kl_divergence as library_kl_divergence

with rc_context(plotting.STYLE):
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
means, widths = torch.linspace(-3, 3, 61), torch.logspace(-1.5, 0.4, 61)
zero = torch.zeros(1, 1)
left.plot(means, [library_kl_divergence(mean.view(1, 1), zero) for mean in means])
right.semilogx(widths, [library_kl_divergence(zero, 2 * w.log().view(1, 1)) for w in widths])
left.set(xlabel=r"$\mu$  (at $\sigma = 1$)", ylabel="KL (nats)")
right.set(xlabel=r"$\sigma$  (at $\mu = 0$)")
figure

# %% [markdown]
# ## Exercise 3: the loss
#
# What is $-\log p(x \mid z)$ for a picture? The answer depends on how we assume that the pixels
# scatter around the decoder's output $\hat x$. Here are two choices, each summed over the pixels
# $i$:
#
# | decoder | $L_\text{recon}$ per image | `loss_type` |
# |---|---|---|
# | Bernoulli: pixels are coin flips | $-\sum_i \big[ x_i \log \hat x_i + (1 - x_i) \log (1 - \hat x_i) \big]$ | `"bce"` |
# | Gaussian: pixels have fixed noise | $\sum_i (x_i - \hat x_i)^2$ | `"mse"` |
#
# The report derives its loss as a likelihood and trains with the squared error. Your function
# offers both. In both cases, **sum over all pixels of an image and average over the images**. Then
# $L = L_\text{recon} + \beta \, L_\text{KL}$.
#
# <details><summary>Hint</summary>
#
# By default, `F.mse_loss` and `F.binary_cross_entropy` average over *everything*. Look up their
# argument `reduction`, and then remember the number of images. Return three values: `total`,
# `recon` and `kl`, where `kl` does *not* include $\beta$. You may call your `kl_divergence`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "vae_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def vae_loss(
    recon: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float, loss_type: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the beta-VAE loss.

    recon, x: (B, 1, 28, 28) in [0, 1]; mu, logvar: (B, D); loss_type: "mse" or "bce".
    Returns the total, the reconstruction loss and the KL: three scalars, each a mean over
    the B images.
    """
    ### BEGIN SOLUTION
    error = {"mse": F.mse_loss, "bce": F.binary_cross_entropy}[loss_type]
    recon_loss = error(recon, x, reduction="sum") / len(x)
    kl = kl_divergence(mu, logvar)
    return recon_loss + beta * kl, recon_loss, kl
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "visible_vae_loss", "locked": true, "schema_version": 3, "solution": false, "task": false}
x, recon = torch.zeros(2, 1, 28, 28), torch.full((2, 1, 28, 28), 1e-7)  # black images, except
x[:, 0, 0, :2] = torch.tensor([[0.0, 1.0], [1.0, 1.0]])  # for the first two pixels of each
recon[:, 0, 0, :2] = torch.tensor([[0.5, 0.5], [0.9, 0.6]])
mu = torch.tensor([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
answer = on_copies(vae_loss, recon, x, mu, torch.zeros(2, 3), 3.0, "mse")
assert isinstance(answer, tuple | list), "return three tensors: total, recon, kl"
assert len(answer) == 3, f"{len(answer)} values returned, expected three: total, recon, kl"
total, recon_loss, kl = map(as_number, answer)
causes = {
    "you summed over the images too; average over them": 0.67,
    "you averaged over the pixels (the default of F.mse_loss); sum over them": 0.0004,
    "you summed over the images and averaged over the pixels: it is the other way round": 0.0009,
    "the second result is the KL; the order is total, recon, kl": 1.25,
    'this is the cross-entropy: loss_type is exactly "mse" or "bce"': 1.0013,
    "return the plain squared error; beta belongs to the KL, in the total": 1.005,
    "you took the absolute value of the error; square it": 0.75,
    "this is half of it; the equation has no 1/2 (as in F.huber_loss and F.smooth_l1_loss)": 0.1675,
    "the sign is wrong; a sum of squares is never negative": -0.335,
}
mean = "over the pixels of an image, and the mean over the images"
rule = f'with "mse", recon is the sum of (recon - x)^2 {mean}'
expect("the squared error", recon_loss, 0.335, causes, rule=rule)
causes = {
    "return the KL itself; beta is used only in the total": 3.75,
    "you summed over the images too; average over them": 2.5,
    "you averaged over the images twice; kl_divergence does it": 0.625,
    "you averaged over the dimensions too; sum over them": 0.4167,
    "you summed over the images and averaged over the dimensions: it is the other way round": 0.8333,
}
rule = "kl is what kl_divergence(mu, logvar) returns"
expect("the KL", kl, 1.25, causes, rule=rule)
causes = {
    "the KL is subtracted; add it": -3.415,
    "the KL is divided by beta; multiply it": 0.7517,
    "beta is not used": 1.585,
    "beta multiplies the reconstruction; it belongs to the KL": 2.255,
    "beta multiplies both terms; it belongs to the KL only": 4.755,
}
rule = "total = recon + beta * kl"
expect("the total at beta = 3", total, 4.085, causes, rule=rule)

answer = on_copies(vae_loss, recon, x, mu, torch.zeros(2, 3), 3.0, "bce")
total, recon_loss, kl = map(as_number, answer)
causes = {
    'loss_type "bce" still gives the squared error': 0.335,
    "you summed over the images too; average over them": 2.0025,
    "you averaged over the pixels; sum over them": 0.0013,
    "you summed over the images and averaged over the pixels: it is the other way round": 0.0026,
    "the sign is wrong": -1.0013,
    "recon holds probabilities already: use the cross-entropy without logits or sigmoid": 543.1546,
    "recon is 0, as F.cross_entropy gives it; a pixel needs F.binary_cross_entropy": 0.0,
    "recon and x are swapped: F.binary_cross_entropy takes recon first": 75.0078,
    "the part of dark pixels, (1 - x) log(1 - recon), is missing": 0.6547,
}
rule = f'with "bce", recon is the sum of -x log(recon) - (1 - x) log(1 - recon) {mean}'
expect("the cross-entropy", recon_loss, 1.0013, causes, rule=rule)
rule = "total = recon + beta * kl"
expect("the total at beta = 3", total, 4.7513, {"beta is not used": 2.2513}, rule=rule)

inputs = {"recon": recon, "mu": mu, "logvar": torch.ones(2, 3)}
recon, mu, logvar = (value.requires_grad_() for value in inputs.values())
for loss_type in ("bce", "mse"):
    recon.grad = mu.grad = logvar.grad = None
    total, _, _ = on_copies(vae_loss, recon, x, mu, logvar, 3.0, loss_type)
    require_gradients(total, **inputs)
rule = "every term must pass on its gradient: no .detach() or .item() in any of them"
expect("d total / d mu", mu.grad, [[1.5, -3.0, 0.0], [0.0, 0.0, 0.0]], {}, rule=rule)
expect("d total / d recon", recon.grad[:, 0, 0, :2], [[0.5, -0.5], [-0.1, -0.4]], {}, rule=rule)
print("vae_loss: the visible tests pass.")

# %% nbgrader={"grade": true, "grade_id": "test_vae_loss", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
# hidden checks run here
### BEGIN HIDDEN TESTS
from autograder import check

check("vae_loss", globals())
### END HIDDEN TESTS

# %% [markdown]
# **Expected.** Your three functions now train a network. The next cell uses them in a small VAE
# (16 latent dimensions, $\beta = 0.1$). The figure below shows real test digits and, under them,
# the network's reconstructions.

# %%
from mnistdiff import training
from mnistdiff.vae import VAE, VAEConfig
from mnistdiff.vae import vae_loss as library_vae_loss


def train_with(reparameterize, vae_loss, epochs: int) -> tuple[VAE, float, float]:
    """Train a small VAE with the given functions.

    Returns the VAE and the total loss of the last batch, by the given loss and by the library's.
    """

    def loss(model: VAE, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        mu, logvar = model.encode(x)
        noise = torch.randn(mu.shape, generator=generator)
        outcome = model.decode(reparameterize(mu, logvar, noise)), x, mu, logvar, 0.1, "mse"
        return {"total": vae_loss(*outcome)[0], "library": library_vae_loss(*outcome)[0]}

    training.seed_everything(0)
    model = VAE(VAEConfig(latent_dim=16, width=128, blocks=1))
    config = training.TrainConfig(epochs, learning_rate=2e-3)
    *_, last = training.train(model, loss, (train.images,), config)
    return model, float(last.losses["total"]), float(last.losses["library"])


# %% mystnb={"image": {"alt": "Ten real digits, each above its reconstruction by a small VAE."}, "figure": {"caption": "Real digits (top) and their reconstructions by the network trained with your loss (bottom).", "name": "fig-01-yours"}}
try:
    model, yours, reference = train_with(reparameterize, vae_loss, settings.vae.epochs)
    print(f"last batch: {yours:.3f} by your loss, {reference:.3f} by the library's loss")
    real = test.images[:10]
    with torch.inference_mode():
        mu, _ = model.encode(real)
        display(plotting.plot_digits(torch.cat([real, model.decode(mu)]), columns=10))
except Exception as error:  # an unfinished exercise must not stop the notebook
    print(f"Not yet ({type(error).__name__}: {error}).")
    print("Finish the three exercises above, then run this cell again.")

# %% [markdown]
# ## The sweep over $\beta$
#
# From here on the cells are given. They use the library's loss, so a mistake in your functions
# cannot affect them. First the settings: the report's Table 1 beside ours.

# %% tags=["hide-input"]
from mnistdiff.experiments import BETAS

ours = {
    "epochs": settings.vae.epochs,
    "batch_size": settings.vae.batch_size,
    "learning_rate": settings.vae.learning_rate,
    "latent_dim": VAE_SETTINGS["latent_dim"],
    "beta": ", ".join(f"{beta:g}" for beta in BETAS),
    "loss_type": VAE_SETTINGS["loss_type"],
}
rows = [
    f"| {name.replace('_', ' ')} | {VAE_SETTINGS[name]} | {value} |" for name, value in ours.items()
]
rows.append(f"| training images | 60,000 | {len(train.images):,} |")
Markdown("\n".join(["| Table 1 | report | here |", "|---|---:|---:|", *rows]))

# %%
from mnistdiff.experiments import beta_sweep

runs = beta_sweep(settings)
by_beta = {run.row["beta"]: run for run in runs}

# %% tags=["hide-input"]
from mnistdiff.experiments import compare_table
from mnistdiff.experiments.student_report import BETA_SWEEP

display(Markdown(f"**Table 2**, ours beside the report's, on the training images. {run_label}"))
Markdown(compare_table(runs, key="beta", report=BETA_SWEEP))

# %% [markdown]
# **How to read it.** The sums depend on conventions, so we state them. The squared error is summed
# over the 784 pixels of an image in [0, 1]. (The report pads its images to 32x32, which adds only
# black pixels.) The KL is summed over the latent dimensions. Both are averaged over the images. In
# every row, the total must be the sum of its parts:

# %% tags=["hide-input"]
gap = max(abs(r["recon"] + r["beta"] * r["kl"] - r["total"]) for r in (run.row for run in runs))
report_gap = max(abs(r["recon"] + beta * r["kl"] - r["total"]) for beta, r in BETA_SWEEP.items())
Markdown(
    f"Largest difference between *total* and *recon + beta KL*: {gap:.4f} in our rows, "
    f"{report_gap:.2f} in the report's rows (its numbers are printed with two decimals)."
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Reconstruction loss and KL against beta on logarithmic axes: the reconstruction loss rises with beta while the KL falls."}, "figure": {"caption": "The trade-off: as beta grows, the code gets cheaper (KL) and the copy gets worse (reconstruction).", "name": "fig-01-trade-off"}}
plotting.plot_loss_trade_off(runs, key="beta", report=BETA_SWEEP)

# %% tags=["hide-input"] mystnb={"image": {"alt": "For each beta, a block of reconstructed digits above a block of digits sampled from the prior. Small beta: sharp reconstructions, but the samples are scribbles. Large beta: both are blurred and look alike."}, "figure": {"caption": "Figure 1 of the report, reproduced: for each beta, reconstructions of test digits above samples from the prior.", "name": "fig-01-sweep"}}
plotting.plot_sweep(runs, test.images, key="beta")

# %% [markdown]
# ## Measured, not by eye
#
# The report judged these pictures by eye and described them with words. Words are hard to compare,
# so we let a **judge** read the pictures. The judge is a small classifier that was trained on MNIST
# for this purpose only. It is never used to train or to choose a VAE.
#
# - **Confident samples**: the share of new samples that the judge reads as *some* digit with more
#   than 90 % confidence. It rises as the samples look more like digits. But a classifier can be
#   certain about nonsense, or about one picture drawn a thousand times. Watch for such rows, and
#   never rely on this number alone.
# - **Label accuracy of reconstructions**: the share of reconstructed test digits that the judge
#   still reads as the right digit, with its 95 % Wilson interval (the range of true shares that are
#   consistent with the count).
# - **FD ratio**: the Fréchet distance between samples and real digits in the judge's features,
#   divided by the distance of equally many *real*, unseen digits. A value near 1 is perfect. It
#   responds to poor variety as well as to poor shape.
# - **Active units**: how many latent dimensions carry information, that is, have a mean that
#   changes from image to image ([Burda et al., 2016](https://arxiv.org/abs/1509.00519); you write
#   this measure in section 2). The other dimensions are noise.

# %% tags=["hide-input"]
from mnistdiff.experiments import measured_table

display(Markdown(run_label))
Markdown(measured_table(runs, key="beta"))

# %% [markdown]
# For comparison, the same judge reads real digits. The table below puts the report's words beside
# our numbers.

# %% tags=["hide-input"]
from mnistdiff.metrics import (
    CONFIDENT,
    distance_floor,
    distance_to_train,
    label_accuracy,
    read_digits,
)

reading = read_digits(test.images)
right = label_accuracy(reading.digits, test.labels)
sure = (reading.confidence > CONFIDENT).float().mean()
ratio = distance_to_train(reading.features) / distance_floor(len(test.labels))
display(
    Markdown(
        f"Real test digits: {right:.1%} read correctly, {sure:.1%} with confidence; "
        f"FD ratio {ratio:.2f}. "
        "(Real digits that the judge has not been trained on have a ratio near 1. The judge was "
        "trained on the training images of full MNIST, which include the bundled digits. On those "
        "digits its scores are slightly too good, and their FD ratio is below 1.)"
    )
)
lines = [
    "| beta | samples, by eye | confident | FD ratio | reconstructions, by eye | label accuracy |"
]
lines.append("|---:|---|---:|---:|---|---:|")
for beta, words in BETA_SWEEP.items():
    row = by_beta[beta].row
    lines.append(
        f"| {beta:g} | {words['samples']} | {row['confident_share']:.0%} | {row['fd_ratio']:.0f} "
        f"| {words['reconstructions']} | {row['recon_accuracy']:.1%} |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Why $\beta = 1$ limits the reconstructions
#
# "$\beta = 1$" sounds neutral, and for a true likelihood it is. But a squared error is a
# likelihood only up to a scale factor. A Gaussian decoder with noise $\sigma_x$ per pixel has
#
# $$ -\log p(x \mid z) = \frac{1}{2 \sigma_x^2} \sum_i (x_i - \hat x_i)^2 + \text{const}
# \qquad\Longrightarrow\qquad \beta = 2 \sigma_x^2 . $$
#
# To see this, multiply the negative ELBO by $2 \sigma_x^2$: the squared error gets weight 1, and
# the KL gets weight $2 \sigma_x^2$. So choosing $\beta$ *means* choosing how noisy the pixels are.
# A detail that is fainter than that noise is not worth its price in the code. How much noise do the
# runs really leave? The mean squared error per pixel gives the answer. The two values agree where
# $\beta = 2 L_\text{recon} / 784$ (the idea of [Rybkin et al.,
# 2021](https://arxiv.org/abs/2006.13202)).

# %% tags=["hide-input"]
lines = ["| beta | noise that beta assumes | noise left in the pixels |", "|---:|---:|---:|"]
distance = {}
for run in runs:
    beta, left = run.row["beta"], math.sqrt(run.row["recon_test"] / 784)
    assumed = math.sqrt(beta / 2)
    distance[beta] = abs(math.log(assumed / left))
    lines.append(f"| {beta:g} | {assumed:.3f} | {left:.3f} |")
consistent = min(distance, key=distance.get)
left = math.sqrt(by_beta[1].row["recon_test"] / 784)
display(Markdown("\n".join(lines)))
Markdown(
    f"At beta = 1 the model assumes a noise of {math.sqrt(0.5):.2f} on a scale where black is 0 "
    f"and white is 1, but it leaves only {left:.2f}. It blurs far more than necessary. The judge "
    f"reads {by_beta[1].row['recon_accuracy']:.1%} of its reconstructions correctly, against "
    f"{by_beta[0.1].row['recon_accuracy']:.1%} at beta = 0.1. "
    f"Of our values, beta = {consistent:g} agrees best with its own noise."
)

# %% [markdown]
# ## Squared error or cross-entropy?
#
# The cross-entropy has no upper limit for a pixel that is confidently wrong. At the same $\beta$,
# the model therefore spends more nats on the code. (For grey pixels the cross-entropy is not a true
# likelihood, but it trains well.) The two reconstruction losses have different units, so the table
# leaves them out; the columns that it shows can be compared.

# %% tags=["hide-input"]
from mnistdiff.experiments import fit_vae

cross_entropy = fit_vae(settings, loss_type="bce")
display(Markdown(run_label))
lines = [
    "| loss | KL, nats | label accuracy of reconstructions | confident samples | FD ratio "
    "| active units |",
    "|---|---:|---:|---:|---:|---:|",
]
for row in (by_beta[1].row, cross_entropy.row):
    lines.append(
        f"| {row['loss_type']} | {row['kl']:.1f} | {row['recon_accuracy']:.1%} "
        f"| {row['confident_share']:.1%} "
        f"| {row['fd_ratio']:.0f} | {row['active_units']} of {row['latent_dim']} |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Does longer training help?
#
# The report's Figure 2 compares samples after 40 epochs with samples after 200. We make the same
# comparison at our scale: our number of epochs, and five times as many (the report's ratio).

# %% tags=["hide-input"] mystnb={"image": {"alt": "Total training loss against epochs: both curves fall steeply at first; the curve of the long run continues to fall slowly."}, "figure": {"caption": "Total training loss of both runs for each epoch.", "name": "fig-01-history"}}
long = fit_vae(settings, epochs=settings.vae.long_epochs)
plotting.plot_history([by_beta[1], long], labels=["the sweep's run", "the long run"])

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two grids of sampled digits side by side: after the normal number of epochs, and after five times as many."}, "figure": {"caption": "Figure 2 of the report, reproduced: samples from the same noise after normal training and after training five times as long.", "name": "fig-01-longer"}}
plotting.plot_sample_pair(by_beta[1], long)

# %% tags=["hide-input"]
from mnistdiff.experiments.student_report import EPOCHS_40_TOTAL, EPOCHS_200_TOTAL

short_row, long_row = by_beta[1].row, long.row
steps = short_row["epochs"] * math.ceil(len(train.images) / settings.vae.batch_size)
report_steps = VAE_SETTINGS["epochs"] * math.ceil(60_000 / VAE_SETTINGS["batch_size"])
lines = [
    "| epochs | total (train) | total (test) | confident samples | FD ratio |",
    "|---:|---:|---:|---:|---:|",
]
for row in (short_row, long_row):
    lines.append(
        f"| {row['epochs']} | {row['total']:.2f} | {row['total_test']:.2f} "
        f"| {row['confident_share']:.0%} | {row['fd_ratio']:.0f} |"
    )
display(Markdown("\n".join(lines)))
Markdown(
    f"Report: the total changes from {EPOCHS_40_TOTAL} to {EPOCHS_200_TOTAL} "
    f"({EPOCHS_200_TOTAL / EPOCHS_40_TOTAL - 1:+.0%}), without a visible gain. Here: from "
    f"{short_row['total']:.2f} to {long_row['total']:.2f} "
    f"({long_row['total'] / short_row['total'] - 1:+.0%}). Note the different starting points: "
    f"our {short_row['epochs']} epochs are {steps:,} steps, and the report's "
    f"{VAE_SETTINGS['epochs']} epochs are {report_steps:,}. A run that has not finished learning "
    "gains more from further training."
)

# %% [markdown]
# ## The report's claims, checked
#
# Each verdict is computed from the runs above. A rank correlation (Spearman's) is +1 when two
# columns always rise together, and -1 when one always falls as the other rises.


# %% tags=["hide-input"]
def spearman(a: list[float], b: list[float]) -> float:
    """Return the correlation of the ranks, in [-1, 1]."""
    ranks = [torch.tensor(column).argsort().argsort().double() for column in (a, b)]
    return torch.corrcoef(torch.stack(ranks))[0, 1].item()


column = {
    name: [run.row[name] for run in runs]
    for name in ("beta", "kl", "recon", "fd_ratio", "active_units")
}
with_kl = spearman(column["beta"], column["kl"])
with_recon = spearman(column["beta"], column["recon"])
best_fd = min(runs, key=lambda run: run.row["fd_ratio"]).row["beta"]
best_copy = max(runs, key=lambda run: run.row["recon_accuracy"]).row["beta"]
surest = max(runs, key=lambda run: run.row["confident_share"]).row["beta"]
gain = short_row["fd_ratio"] / long_row["fd_ratio"]
claims = [
    (
        "beta and KL are strongly anti-correlated",
        f"rank correlation {with_kl:+.2f}",
        with_kl < -0.9,
    ),
    (
        "beta and reconstruction loss are correlated",
        f"rank correlation {with_recon:+.2f}",
        with_recon > 0.9,
    ),
    (
        "beta = 1 is the best balance",
        f"lowest FD ratio at beta = {best_fd:g}, most confident samples at {surest:g}, "
        f"best reconstructions at {best_copy:g}",
        best_fd == 1,
    ),
    (
        "200 epochs bring no visible gain over 40",
        f"{long_row['epochs']} epochs instead of {short_row['epochs']} divide the FD ratio by "
        f"{gain:.1f}",
        gain < 1.1,
    ),
    (
        "at beta = 10 the model has collapsed",
        f"{by_beta[10].row['active_units']} active units of {VAE_SETTINGS['latent_dim']}, "
        f"KL {by_beta[10].row['kl']:.2f} nats",
        by_beta[10].row["active_units"] <= 1,
    ),
]
lines = ["| the report says | we measure | verdict |", "|---|---|---|"]
lines += [
    f"| {claim} | {measured} | {'holds' if holds else '**does not hold here**'} |"
    for claim, measured, holds in claims
]
display(Markdown("\n".join(lines)))
Markdown(
    f"{run_label} One seed: small differences need more seeds and longer runs. The results page "
    "has the report's own settings."
)

# %% [markdown]
# ## Exercise 4: what does $\beta$ do?
#
# Write 150 to 250 words, based on your own tables and figures:
#
# 1. As $\beta$ grows, what happens to the KL and to the reconstruction loss, and *why*?
# 2. What is posterior collapse? Name the numbers above that show it.
# 3. At very small $\beta$ the reconstructions are excellent but the samples are not. How is this
#    possible?
# 4. Suppose that another model generates *latent vectors*, which the VAE then decodes. Which
#    $\beta$ would you choose for that VAE, and why?
#
# *How it is marked (5 points): one point for each of the four answers, if it gives the reason and
# not only the observation, and one point for numbers from your own run as evidence.*

# %% [markdown] nbgrader={"grade": true, "grade_id": "explain_beta", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. $\beta$ is the price of a nat in the code. The higher the price, the closer the encoder stays
#    to the prior: the KL falls in every row of Table 2. A code that holds less information about
#    the digit gives the decoder less to work with, so the reconstruction loss rises. The rank
#    correlations are close to -1 and +1.
# 2. Posterior collapse: the encoder ignores the picture, $q(z \mid x) \approx p(z)$ for every
#    $x$, and the decoder draws one average digit. At $\beta = 10$ the KL is close to 0, few or no
#    units are active, and reconstructions are no longer read as their label.
# 3. With almost no pressure, each digit gets a tiny region of its own, far from the others. The
#    prior mostly draws from the holes between these regions, where the decoder was never trained.
#    The high KL and the high FD ratio of the samples show this.
# 4. A small one, 0.1 or below. The second model learns where the codes lie, so they need not fill
#    the prior by themselves. No later step can restore detail that the decoder lost: its label
#    accuracy is the upper limit. (An answer of 0.5 or 1 counts if it weighs this limit against
#    smoother latents that are easier to model.)
#
# **Rubric (5 points)**
#
# - 1: direction of both terms *and* the reason (price of information; less informative code).
# - 1: collapse defined as $q(z \mid x)$ equal to the prior, with KL near 0 or active units as
#   evidence.
# - 1: holes: prior samples fall where no training code was decoded.
# - 1: a choice for latent generation, with a reason that names the decoder's upper limit or the
#   shape of the latents.
# - 1: at least two numbers from the student's own run, used as evidence.
# - Half a point is possible; "it gets blurry" without a reason earns none.
# ### END SOLUTION

# %% [markdown]
# ## Where next
#
# Section 2 keeps $\beta = 1$ and asks the other question about the bottleneck: *how many* latent
# dimensions does a digit need, and how many does the model use?
