"""The course's notebooks as files: found, read, and told apart from what a grader could not read.

Nothing here needs nbgrader or nbformat; the checksums are those that nbgrader writes.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnistdiff.errors import MnistdiffError

# The answers of each notebook; those that begin with `explain` are written, and marked by a person.
EXERCISES = {
    "01_vae_beta": ("reparameterize", "kl_divergence", "vae_loss", "explain_beta"),
    "02_latent_dim": ("kl_per_dimension", "active_units"),
    "03_ddpm_ddim": (
        *("add_noise", "ddpm_step", "ddim_timesteps", "ddim_sigma", "ddim_step"),
        "explain_ddim",
    ),
    "04_latent_diffusion": ("scaling_factor", "latent_loss"),
    "05_clip": ("contrastive_loss", "zero_shot_accuracy"),
    "06_tiny_sd": ("eps_mlp_cond", "drop_condition", "apply_guidance"),
    "07_comfyui": ("edit_sampler", "insert_lora", "explain_comfyui"),
}
LARGEST = 20 << 20  # bytes of a notebook that graders take
GIVEN = re.compile(r"cell-\d{3}")  # the ids of given cells


@dataclass(frozen=True)
class Cell:
    """One cell, and nbgrader's notes on it."""

    kind: str  # code, markdown, raw
    source: str
    role: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its grade_id, "" for a given cell."""
        return str(self.role.get("grade_id", ""))

    @property
    def is_answer(self) -> bool:
        return bool(self.role.get("solution"))

    @property
    def is_as_released(self) -> bool:
        """Whether nothing in it was changed: an answer that is not written yet."""
        return self.role.get("checksum") == checksum(self)


def checksum(cell: Cell) -> str:
    """nbgrader's checksum of a cell that it has a role for."""
    grade, solution = bool(cell.role.get("grade")), cell.is_answer
    locked = not solution and (grade or bool(cell.role.get("locked", False)))
    parts = [cell.source, cell.kind, str(grade), str(solution), str(locked), cell.name]
    if grade:
        points = cell.role.get("points")
        parts.append(str(float(points)) if isinstance(points, (int, float)) else "?")
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def read_notebook(path: Path) -> list[Cell]:
    """The cells of a notebook. Raises MnistdiffError for what is none."""
    try:
        data = path.read_bytes()
        if len(data) > LARGEST:
            raise MnistdiffError(
                f"{path} has {len(data) >> 20} MB, and graders take {LARGEST >> 20}: clear its "
                "outputs (in Jupyter: Edit, Clear Outputs of All Cells) and save it."
            )
        cells = json.loads(data)["cells"]
        return [_cell(cell) for cell in cells]
    except OSError as error:
        raise MnistdiffError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MnistdiffError(
            f"{path} is no notebook ({type(error).__name__}: {str(error)[:100]}). It was cut "
            "short, or merged by git: take an earlier copy, or the course's, and put your "
            "answers into it."
        ) from error


def _cell(cell: dict[str, Any]) -> Cell:
    source, about = cell["source"], cell.get("metadata", {})
    role = about.get("nbgrader")
    return Cell(
        kind=str(cell["cell_type"]),
        source=source if isinstance(source, str) else "".join(source),
        role=role if isinstance(role, dict) else {},
        id=str(cell.get("id", "")),
        tags=tuple(about.get("tags", ())),
    )


def find_notebook(wanted: str, folder: Path | None = None) -> Path:
    """The notebook of a number such as "03", or of a path.

    Looks in `folder`, else in the current folder and its `notebooks`.
    """
    if wanted.endswith(".ipynb"):
        return Path(wanted)
    folders = [folder] if folder else [Path(), Path("notebooks")]
    for place in folders:
        found = [path for path in course_notebooks(place) if path.stem.startswith(wanted)]
        found = [path for path in found if path.stem in EXERCISES] or found  # not a -Copy1
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise MnistdiffError(f"{wanted!r} may be {names} in {place.resolve()}: name the file.")
        if found:
            return found[0]
    places = " or ".join(str(place.resolve()) for place in folders)
    raise MnistdiffError(
        f"No notebook of the course begins with {wanted!r} in {places}. Go to the folder that has "
        f"your notebooks, or name it with --folder; the numbers are {', '.join(_numbers())}."
    )


def _numbers() -> list[str]:
    return [name.partition("_")[0] for name in EXERCISES]


def course_notebooks(folder: Path) -> list[Path]:
    """The notebooks in a folder that begin with the number of a section."""
    starts = tuple(f"{number}_" for number in _numbers())
    return sorted(path for path in folder.glob("*.ipynb") if path.name.startswith(starts))


def exercises_of(path: Path) -> tuple[str, ...]:
    """The answers that a file of this name must have; () for another notebook's name."""
    return next((rows for name, rows in EXERCISES.items() if path.stem.startswith(name)), ())


def problems(path: Path, cells: Iterable[Cell]) -> list[str]:
    """What a grader would not find, or would not take as it is: a sentence each."""
    cells, found = list(cells), []
    answers = exercises_of(path)
    if not answers:
        found.append(
            f"{path.name} has not the name that it was given: call it one of "
            f"{', '.join(f'{name}.ipynb' for name in EXERCISES)}, or it is not graded."
        )
        answers = [c.name for c in cells if c.is_answer]
    counts = Counter(cell.name for cell in cells if cell.name)
    for answer in answers:
        written = answer.startswith("explain")
        for name in (answer,) if written else (answer, f"visible_{answer}", f"test_{answer}"):
            if counts[name] != 1:
                found.append(_counted(name, counts[name], name == answer))
    return found + [text for cell in cells if (text := _changed(cell))]


def _counted(name: str, count: int, answer: bool) -> str:
    """What to do about a cell that is not there exactly once."""
    if not count:
        lost = "your answer cannot be found" if answer else "it is put back for grading"
        return f"the cell `{name}` is missing: {lost}. Copy it from the course's notebook."
    return f"the cell `{name}` is there {count} times: keep one of them, delete the others."


def _changed(cell: Cell) -> str | None:
    """What was done to a cell that must stay as it was given, if anything."""
    kind = cell.role.get("cell_type", cell.kind)
    if cell.name and cell.kind != kind:
        return f"the cell `{cell.name}` was made a {cell.kind} cell: make it a {kind} cell again."
    if cell.name and not cell.is_answer and "checksum" in cell.role and not cell.is_as_released:
        return f"the locked cell `{cell.name}` was changed: graders put their own in its place."
    return None
