"""Find and read the course's notebooks, and report what a grader could not read.

This module needs neither nbgrader nor nbformat; its checksums equal those that nbgrader writes.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mnistdiff.errors import MnistdiffError

# The exercises of each notebook. A person marks the written ones, whose names begin with `explain`.
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
ANSWERS = {name for names in EXERCISES.values() for name in names}
NAMES = ANSWERS | {f"{kind}_{name}" for kind in ("visible", "test") for name in ANSWERS}
MAX_BYTES = 20 << 20  # the largest notebook that graders accept
GIVEN = re.compile(r"cell-\d{3}")  # the ids of given cells


@dataclass(frozen=True)
class Cell:
    """A notebook cell with its nbgrader metadata."""

    kind: str  # code, markdown, raw
    source: str
    role: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The grade_id, or "" for a given cell; a cell that lost its metadata has it as its id."""
        return str(self.role.get("grade_id", self.id if self.id in NAMES else ""))

    @property
    def is_answer(self) -> bool:
        """Whether a student writes this cell."""
        return bool(self.role.get("solution", self.name in ANSWERS))

    @property
    def is_as_released(self) -> bool:
        """Whether the cell is unchanged; for an answer, that it is not written yet."""
        lines = (line.rstrip() for line in self.source.strip().split("\n"))
        trimmed = replace(self, source="\n".join(lines))  # grading ignores these blanks, too
        return self.role.get("checksum") in (checksum(self), checksum(trimmed))


def checksum(cell: Cell) -> str:
    """Return nbgrader's checksum of a cell that has an nbgrader role."""
    grade, solution = bool(cell.role.get("grade")), cell.is_answer
    locked = not solution and (grade or bool(cell.role.get("locked", False)))
    parts = [cell.source, cell.kind, str(grade), str(solution), str(locked), cell.name]
    if grade:
        points = cell.role.get("points")
        parts.append(str(float(points)) if isinstance(points, (int, float)) else "?")
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def read_notebook(path: Path) -> list[Cell]:
    """Return the cells of a notebook. Raises MnistdiffError if the file is not one."""
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise MnistdiffError(
                f"{path} has {len(data) >> 20} MB; graders accept {MAX_BYTES >> 20} MB: clear its "
                "outputs (in Jupyter: Edit, Clear Outputs of All Cells) and save it."
            )
        cells = json.loads(data)["cells"]
        return [_cell(cell) for cell in cells]
    except OSError as error:
        raise MnistdiffError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MnistdiffError(
            f"{path} is not a notebook ({type(error).__name__}: {str(error)[:100]}). The file may "
            "be incomplete or have a merge conflict: take an earlier copy or the course's, and "
            "put your answers into it."
        ) from error


def _cell(cell: dict[str, Any]) -> Cell:
    source, about = cell["source"], cell.get("metadata", {})
    role = about.get("nbgrader")
    text = source if isinstance(source, str) else "".join(source)
    return Cell(
        kind=str(cell["cell_type"]),
        source=text.replace("\r\n", "\n").replace("\r", "\n"),
        role=role if isinstance(role, dict) else {},
        id=str(cell.get("id", "")),
        tags=tuple(about.get("tags", ())),
    )


def find_notebook(wanted: str, folder: Path | None = None) -> Path:
    """Return the path of a notebook, given its number ("03") or its path.

    Looks in `folder`, or else in . and ./notebooks. Raises MnistdiffError if there is not exactly
    one.
    """
    if wanted.endswith(".ipynb"):
        return Path(wanted)
    folders = [folder] if folder else [Path(), Path("notebooks")]
    for place in folders:
        found = [path for path in course_notebooks(place) if path.stem.startswith(wanted)]
        found = [path for path in found if path.stem in EXERCISES] or found  # not a -Copy1
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise MnistdiffError(
                f"{wanted!r} fits {names} in {place.resolve()}: give the file's name."
            )
        if found:
            return found[0]
    places = " or ".join(str(place.resolve()) for place in folders)
    raise MnistdiffError(
        f"No notebook of the course begins with {wanted!r} in {places}. Go to the folder that has "
        f"your notebooks, or give it with --folder; the numbers are {', '.join(_numbers())}."
    )


def _numbers() -> list[str]:
    return [name.partition("_")[0] for name in EXERCISES]


def course_notebooks(folder: Path) -> list[Path]:
    """Return the notebooks in a folder whose names begin with the number of a section."""
    starts = tuple(f"{number}_" for number in _numbers())
    return sorted(path for path in folder.glob("*.ipynb") if path.name.startswith(starts))


def exercises_of(path: Path) -> tuple[str, ...]:
    """Return the exercises that a file of this name must have; () for an unknown name."""
    return next((rows for name, rows in EXERCISES.items() if path.stem.startswith(name)), ())


def problems(path: Path, cells: Iterable[Cell]) -> list[str]:
    """Return a sentence for each thing that a grader would not find or would not accept."""
    cells, found = list(cells), []
    answers = exercises_of(path)
    if not answers:
        found.append(
            f"{path.name} was renamed and would not be graded: rename it to one of "
            f"{', '.join(f'{name}.ipynb' for name in EXERCISES)}."
        )
        answers = [c.name for c in cells if c.is_answer]
    counts = Counter(cell.name for cell in cells if cell.name)
    for answer in answers:
        written = answer.startswith("explain")
        for name in (answer,) if written else (answer, f"visible_{answer}", f"test_{answer}"):
            if counts[name] != 1:
                found.append(_count_problem(name, counts[name], name == answer))
    return found + [text for cell in cells if (text := _change_problem(cell))]


def _count_problem(name: str, count: int, answer: bool) -> str:
    """Say what to do about a cell that does not occur exactly once."""
    if not count:
        effect = "your answer cannot be found" if answer else "grading puts it back"
        return f"the cell `{name}` is missing: {effect}. Copy it from the course's notebook."
    return f"the cell `{name}` occurs {count} times: keep one of them and delete the others."


def _change_problem(cell: Cell) -> str | None:
    """Say how a cell that must stay as released was changed; None if it was not."""
    kind = cell.role.get("cell_type", cell.kind)
    if cell.name and cell.kind != kind:
        return f"the cell `{cell.name}` is now a {cell.kind} cell: make it a {kind} cell again."
    if cell.name and not cell.is_answer and "checksum" in cell.role and not cell.is_as_released:
        return f"the locked cell `{cell.name}` was changed: grading restores the original."
    return None
