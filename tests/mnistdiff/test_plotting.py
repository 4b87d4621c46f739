"""Figures: what is drawn are the numbers and the digits that were given."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.patches import FancyBboxPatch

from mnistdiff.comfyui.files import load_workflow
from mnistdiff.data import Digits
from mnistdiff.plotting import canvas, clip, diffusion, text_to_image, vae
from mnistdiff.plotting.workflow import plot_workflow
from mnistdiff.vae import VAE, VAEConfig

DIGITS = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def lines(ax) -> list[list[list[float]]]:
    """The points of each line that holds any."""
    return [np.stack(line.get_data(), 1).tolist() for line in ax.lines if len(line.get_xdata())]


def picture(ax) -> np.ndarray:
    return np.asarray(ax.images[0].get_array())


def texts(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_tiles_stand_in_rows_with_white_gaps():
    grid = canvas.tile(DIGITS[:5], 2)
    assert grid.shape == (3 * 28 + 2 * 2, 2 * 28 + 2)
    for index, digit in enumerate(DIGITS[:5, 0].numpy()):
        top, left = 30 * (index // 2), 30 * (index % 2)
        assert (grid[top : top + 28, left : left + 28] == digit).all()
        grid[top : top + 28, left : left + 28] = 1
    assert (grid == 1).all()


def test_grids_of_digits_are_the_given_digits():
    assert (picture(canvas.plot_digits(DIGITS, 3).axes[0]) == canvas.tile(DIGITS, 3)).all()
    grids = diffusion.plot_grids({"a": DIGITS[:4], "b": DIGITS[2:]}, ("x", "y"))
    assert (picture(grids.axes[1]) == canvas.tile(DIGITS[2:], 2)).all()
    matrix = diffusion.plot_matrix({"r": (DIGITS, DIGITS[1:])}, ("c", "d"), side=2)
    assert (picture(matrix.axes[1]) == canvas.tile(DIGITS[1:5], 2)).all()
    assert [ax.get_title() for ax in matrix.axes] == ["c", "d"]
    styles = text_to_image.plot_styles({"bold": (DIGITS,), "thin": (1 - DIGITS,)}, ("1",))
    assert (picture(styles.axes[1]) == canvas.tile(1 - DIGITS, 5)).all()
    found = clip.plot_images_of_prompts(("a", "b"), DIGITS.view(2, 3, 1, 28, 28))
    assert (picture(found.axes[0]) == canvas.tile(DIGITS, 3)).all()
    assert texts(found) == ["a", "b"]


def test_captions_stand_beside_their_digits_column_by_column():
    figure = clip.plot_prompts_of_images(DIGITS[:3], ("p", "q", "r"))
    at = {ax.texts[0].get_text(): picture(ax) for ax in figure.axes if ax.texts}
    assert all((at[name] == DIGITS[i, 0].numpy()).all() for i, name in enumerate("pqr"))
    assert len(figure.axes) == 4


def test_signed_digits_and_noise_are_shown_in_the_range_of_pictures():
    figure = diffusion.plot_columns([2 * DIGITS[:2] - 1, 4 * DIGITS[2:4] - 2], ("a", "b"), ("r",))
    shown = torch.cat([DIGITS[:2], (2 * DIGITS[2:4] - 0.5).clamp(0, 1)])
    assert picture(figure.axes[0]) == pytest.approx(canvas.tile(shown, 2), abs=1e-6)
    figure = diffusion.plot_inversion(2 * DIGITS[:2] - 1, 3 * DIGITS[:2], {5: DIGITS[:2]})
    assert texts(figure) == ["", "", "real", "encoded", "5 steps"]


def test_a_film_keeps_evenly_spaced_steps_from_the_first_to_the_last():
    film = diffusion.Film(50, frames=4)
    for step in range(50):
        film(step, 999 - 20 * step, DIGITS[:2] + step, DIGITS[:2])
    assert [t for t, *_ in film.frames] == [999, 999 - 320, 999 - 660, 999 - 980]
    figure = diffusion.plot_film([(t, 2 * DIGITS[:2] - 1, -x0) for t, _, x0 in film.frames])
    rows = DIGITS[:2].repeat_interleave(4, dim=0)
    assert picture(figure.axes[0]) == pytest.approx(canvas.tile(rows, 4), abs=1e-6)
    assert {"t = 999", "679"} <= set(texts(figure))


def test_schedules_timesteps_and_noise_are_plotted_as_they_are():
    abar = torch.tensor([0.81, 0.25])
    signal, noise = diffusion.plot_schedules({"s": abar}).axes
    assert np.array(lines(signal)[0])[:, 1] == pytest.approx([0.9, 0.5])
    assert np.array(lines(noise)[0])[:, 1] == pytest.approx([0.19**0.5, 0.75**0.5])
    kept = diffusion.plot_timesteps({"a": [9, 4], "b": [8, 0]}).axes[0]
    assert lines(kept) == [[[9, 0], [4, 0]], [[8, 1], [0, 1]]]
    added = diffusion.plot_noise_added({"p": {"l": ([9, 4], torch.tensor([0.5, 0.25]))}}).axes[0]
    assert lines(added) == [[[9, 0.5], [4, 0.25]]]


def test_quality_is_plotted_against_evaluations_and_seconds():
    points = [
        diffusion.Point("ddim", 10, 0.5, {"fd_ratio": 9.0}),
        diffusion.Point("heun", 19, 0.7, {"fd_ratio": 3.0}),
        diffusion.Point("ddim", 50, 2.5, {"fd_ratio": 2.0}),
    ]
    evaluations, seconds = diffusion.plot_quality(points).axes
    assert lines(evaluations)[:2] == [[[10, 9], [50, 2]], [[19, 3]]]
    assert lines(seconds)[:2] == [[[0.5, 9], [2.5, 2]], [[0.7, 3]]]
    assert [tick.get_text() for tick in evaluations.get_yticklabels()] == ["1", "2", "5"]
    high = [point._replace(row={"fd_ratio": 40 * point.row["fd_ratio"]}) for point in points]
    ticks = diffusion.plot_quality(high).axes[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == ["1", "2", "5", "10", "20", "50", "100", "200"]


def test_shares_are_plotted_in_percent():
    ax = text_to_image.plot_per_digit([0.5, 1.0], [(0.25, 0.75), (0.75, 1)], 0.5, [1]).axes[0]
    assert lines(ax)[:4] == [[[0, 25], [0, 75]], [[0, 50]], [[1, 75], [1, 100]], [[1, 100]]]
    assert lines(ax)[4] == [[0, 50], [1, 50]]
    assert ax.lines[1].get_color() != ax.lines[3].get_color()


def test_the_ladder_and_the_frontier_show_means_intervals_and_seeds():
    rung = SimpleNamespace(
        rows=[{"accuracy": 0.5, "fd_ratio": 4}, {"accuracy": 0.75, "fd_ratio": 2}],
        mean={"accuracy": 0.625, "fd_ratio": 3}.get,
        interval={"accuracy": (0.25, 0.875), "fd_ratio": (1, 5)}.get,
    )
    accuracy, ratio = text_to_image.plot_ladder([rung, rung], ("a", "b")).axes
    assert [point[0] for line in lines(accuracy)[:3] for point in line] == [25, 87.5, 50, 75, 62.5]
    assert accuracy.get_ylim()[1] < 0 < 1.22 < accuracy.get_ylim()[0]  # the first rung on top
    assert [point[0] for line in lines(ratio)[:3] for point in line] == [1, 5, 4, 2, 3]
    assert {point[1] for line in lines(accuracy)[3:] for point in line} == {1, 1.22}
    row = {"accuracy": 0.5, "coverage": 0.9, "recall": 0.8, "fd_ratio": 2.0}
    shares, scales = text_to_image.plot_frontier([1.0, 2.5], [row, row | {"accuracy": 0.75}]).axes
    assert lines(shares) == [[[0.9, 50], [0.9, 75]], [[0.8, 50], [0.8, 75]]]
    assert lines(scales)[0] == [[1, 2], [2.5, 2]]
    assert {text.get_text() for text in shares.texts} == {"s = 1", "s = 2.5"}


def test_vae_losses_are_plotted_beside_the_reports():
    rows = [{"beta": b, "recon": 20 * b, "kl": 3 / b, "total": 1.0, "epochs": 2} for b in (0.5, 2)]
    history = [{"epoch": 1, "total": 5.0}, {"epoch": 2, "total": 4.0}]
    runs = [SimpleNamespace(row=row, history=history) for row in rows]
    report = {1.0: {"recon": 7.0, "kl": 8.0}}
    recon, kl = vae.plot_loss_trade_off(runs, "beta", report).axes
    assert lines(recon) == [[[0.5, 10], [2, 40]], [[1, 7]]]
    assert lines(kl) == [[[0.5, 6], [2, 1.5]], [[1, 8]]]
    assert lines(vae.plot_history(runs).axes[0]) == [[[1, 5], [2, 4]]] * 2
    ranked = vae.plot_kl_per_dimension({"m": torch.tensor([0.5, 2.0])}, threshold=0.25).axes[0]
    assert lines(ranked) == [[[1, 2], [2, 0.5]], [[0, 0.25], [1, 0.25]]]


def test_latent_figures_decode_what_their_axes_say():
    torch.manual_seed(0)
    model = VAE(VAEConfig(2, 8, 1)).eval()
    digits = Digits(DIGITS, torch.tensor([0, 0, 3, 3, 9, 9]), "bundled")
    scattered, decoded = vae.plot_latent_map(model, digits, side=3, reach=2.0).axes
    mu = model.encode(DIGITS)[0].detach()
    assert np.asarray(scattered.collections[3].get_offsets()) == pytest.approx(mu[2:4].numpy())
    corners = torch.tensor([[-2.0, 2.0], [2.0, 2.0], [-2.0, -2.0]])  # z1 to the right, z2 up
    grid = picture(decoded)
    for place, digit in zip(((0, 0), (0, 60), (60, 0)), model.decode(corners), strict=True):
        top, left = place
        shown = grid[top : top + 28, left : left + 28]
        assert shown == pytest.approx(digit[0].detach().numpy(), abs=1e-6)
    moved = picture(vae.plot_traversal(model, DIGITS[:1], rows=1, columns=3).axes[0])
    kept, logvar = (part.detach() for part in model.encode(DIGITS[:1]))
    most = int((kept.square() + logvar.exp() - 1 - logvar).argmax())
    kept[0, most] = -3
    first = model.decode(kept)[0, 0].detach().numpy()
    assert moved[:, :28] == pytest.approx(first, abs=1e-6)


def test_a_map_projects_on_the_directions_of_largest_variance():
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([5.0, 0.1, 2.0])
    cloud = torch.randn(400, 3, generator=generator) * spread + 7
    project = clip.Map(cloud, count=2)
    variances = torch.cov(cloud.T)
    values = torch.linalg.eigvalsh(variances).flip(0)
    torch.testing.assert_close(project.shares, values[:2] / values.sum(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.cov(project(cloud).T).diag(), values[:2], rtol=1e-3, atol=0)


def test_the_similarity_of_each_pair_is_written_in_its_field():
    matrix = torch.linspace(-1, 1, 100).view(10, 10)
    figure = clip.plot_similarity({"t": matrix}, [str(i) for i in range(10)], (-1, 1))
    shown = {text.get_position(): text for text in figure.axes[0].texts}
    assert shown[9, 0].get_text() == f"{float(matrix[0, 9]):.1f}".replace("-", "−")
    assert (shown[0, 0].get_color(), shown[9, 9].get_color()) == ("white", "black")


@pytest.mark.parametrize("name", ["basic", "lora", "span"])
def test_the_boxes_of_a_workflow_lie_apart_and_inside(name):
    ax = plot_workflow(load_workflow(name)).axes[0]
    boxes = [patch.get_extents() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    boxes = [box.transformed(ax.transData.inverted()) for box in boxes]
    right, bottom = ax.get_xlim()[1], ax.get_ylim()[0]
    last = max(boxes, key=lambda box: box.y0)  # alone in its row: in the middle
    assert (last.x0 + last.x1) / 2 == pytest.approx(right / 2, abs=0.04)
    for i, box in enumerate(boxes):
        low, high = sorted((box.y0, box.y1))
        assert -0.01 <= box.x0 < box.x1 <= right
        assert -0.01 <= low < high <= bottom
        assert not any(box.count_overlaps([other]) for other in boxes[i + 1 :])
