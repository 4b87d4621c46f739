"""Styles and their measures, on drawn strokes whose width and slant are known."""

import pytest
import torch

from mnistdiff.experiments.styles import bold, slant, slanted, stroke_width, thin


def bar(width: int) -> torch.Tensor:
    """An upright bar of 20 rows."""
    image = torch.zeros(1, 1, 28, 28)
    image[..., 4:24, 12 : 12 + width] = 1
    return image


def leaning(columns_per_row_up: float) -> torch.Tensor:
    """A line one pixel wide, which runs to the right on its way up."""
    image = torch.zeros(1, 1, 28, 28)
    for row in range(6, 22):
        image[..., row, round(14 + columns_per_row_up * (14 - row))] = 1
    return image


@pytest.mark.parametrize("width", [2, 4, 8])
def test_the_width_of_a_stroke_is_twice_its_ink_by_its_outline(width):
    by_hand = 2 * (20 * width) / (2 * (20 + width))  # 1 % apart: two edges meet in one corner pixel
    assert float(stroke_width(bar(width))) == pytest.approx(by_hand, rel=0.02)


def test_bold_adds_a_pixel_to_a_stroke_and_thin_takes_ink_away():
    assert torch.equal(bold(bar(3)).sum((0, 1, 2)) > 0, bar(4).roll(-1, 3).sum((0, 1, 2)) > 0)
    assert bold(bar(3)).sum() == 21 * 4
    # 19 x 2 pixels have only bright neighbours: they stay; the others keep 1.3 / 4 of their ink
    assert float(thin(bar(3)).sum()) == pytest.approx(19 * 2 + (20 * 3 - 19 * 2) * 1.3 / 4)


@pytest.mark.parametrize("lean", [-0.5, 0.0, 0.5])
def test_slant_is_the_columns_to_the_right_per_row_up(lean):
    assert float(slant(leaning(lean))) == pytest.approx(lean, abs=0.03)


def test_slanted_leans_an_upright_stroke_to_the_right():
    assert float(slant(slanted(bar(3)))) == pytest.approx(0.35, abs=0.02)
    assert float(slanted(bar(3)).sum()) == pytest.approx(60, rel=0.02)
