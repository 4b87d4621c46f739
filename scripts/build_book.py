"""Run every notebook with its answers; write book/sections/ with the outputs, without answers."""

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import build_notebooks as pipeline
import nbformat
import notebook_guard as guard
from build_notebooks import BuildError
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"  # a live progress bar
LEADS = {  # the figure that opens each section's page
    "01_vae_beta": "fig-01-sweep",
    "02_latent_dim": "fig-02-map",
    "03_ddpm_ddim": "fig-03-ddpm-ddim",
    "04_latent_diffusion": "fig-04-beta",
    "05_clip": "fig-05-text-to-image",
}  # 06 and 07 open with the model itself
WITH_ANSWER = "*What follows was drawn with the model answer.*"


def cache_key(name: str, source: NotebookNode, profile: str, root: Path) -> str:
    """Return a hash of everything that the outputs depend on."""
    library = root / "mnistdiff"
    files = [*library.rglob("*.py"), *library.rglob("*.safetensors"), *library.rglob("*.json")]
    digest = hashlib.sha256(f"{name}\n{profile}\n{nbformat.writes(source)}".encode())
    for path in sorted(files):
        digest.update(f"\n{path.relative_to(library)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def execute(name: str, source: NotebookNode, profile: str) -> NotebookNode:
    """Run a notebook in a new kernel. Raises BuildError naming the cell that failed."""
    import papermill

    os.environ["TQDM_DISABLE"] = "1"
    with tempfile.TemporaryDirectory() as work:
        path, output = Path(work, "in.ipynb"), Path(work, "out.ipynb")
        nbformat.write(source, path)
        try:
            papermill.execute_notebook(
                path,
                output,
                parameters={"profile": profile},
                progress_bar=False,
                cwd=work,
                kernel_name="python3",
            )
        except papermill.PapermillExecutionError as error:
            first = error.source.strip().split("\n")[0]
            raise BuildError(
                f"solutions/{name}.py, the cell that begins `{first[:60]}`: "
                f"{error.ename}: {error.evalue}"
            ) from None
        return nbformat.read(output, as_version=4)


def execute_all(
    sources: dict[str, NotebookNode], profile: str, folder: Path
) -> dict[str, NotebookNode]:
    """Return all executed notebooks, run two at a time with one thread each, which is fastest."""
    os.environ["OMP_NUM_THREADS"] = "1"
    # every second notebook first: the others then find shared trained models in the cache
    names = [*list(sources)[::2], *list(sources)[1::2]]
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        runs = {n: pool.submit(executed, n, sources[n], profile, folder) for n in names}
        return {name: runs[name].result() for name in sources}


def executed(name: str, source: NotebookNode, profile: str, folder: Path) -> NotebookNode:
    """Return the executed notebook, from an earlier run if nothing has changed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{profile}-{cache_key(name, source, profile, ROOT)}.ipynb"
    if path.exists():
        print(f"{name}: unchanged since it last ran", flush=True)
        return nbformat.read(path, as_version=4)
    start = time.perf_counter()
    notebook = execute(name, source, profile)
    seconds = time.perf_counter() - start
    print(f"{name}: ran in {seconds:.0f} s", flush=True)
    for old in folder.glob(f"{name}-{profile}-*.ipynb"):
        old.unlink()
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.rename(path)
    return notebook


def page(shown: NotebookNode, ran: NotebookNode, profile: str) -> NotebookNode:
    """Return the cells of `shown` with the outputs of `ran`, without tests and tool metadata.

    What a student runs and a reader skips is folded: the set-up, imports and visible tests.
    """
    outputs = {cell.id: cell.outputs for cell in ran.cells if cell.cell_type == "code"}
    notebook = nbformat.v4.new_notebook(metadata=shown.metadata)
    for cell in shown.cells:
        role = guard.grading(cell)
        if role.get("grade") and not role.get("solution"):
            continue
        tags = cell.metadata.get("tags", [])
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")}
        if cell.cell_type == "code" and (title := folded_title(cell.source, role)):
            cell.metadata |= {"tags": [*tags, "hide-input"]}
            prompts = {"code_prompt_show": title, "code_prompt_hide": title}
            cell.metadata["mystnb"] = cell.metadata.get("mystnb", {}) | prompts
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [out for out in map(plain_output, outputs.get(cell.id, [])) if out]
        if "parameters" in tags:
            cell.source = f'profile = "{profile}"'
        notebook.cells += captioned(cell)
        if role.get("solution") and cell.cell_type == "code":
            notebook.cells.append(
                nbformat.v4.new_markdown_cell(WITH_ANSWER, id=f"{cell.id}-answer")
            )
    return nbformat.from_dict(notebook)


def folded_title(source: str, role: dict[str, Any]) -> str | None:
    """Return the title of a code cell that the page folds; None for the others."""
    if role.get("grade_id", "").startswith("visible_"):
        return "What the tests check"
    if "google.colab" in source:
        return "Set-up in Colab"
    lines = [line for line in source.split("\n") if line and not line.startswith((" ", ")", "#"))]
    imports = all(line.startswith(("import ", "from ")) for line in lines)
    return "Imports" if lines and imports else None


def open_with_figure(notebook: NotebookNode, name: str) -> None:
    """Repeat a figure of the page below its title. Raises BuildError if the figure is missing."""
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        pictures = [o for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        if figure.get("name") == name and pictures:
            lead = nbformat.v4.new_code_cell(
                "# the figure that opens this page",  # MyST-NB leaves out an empty cell
                id="lead",
                outputs=pictures[-1:],
                metadata={
                    "tags": ["remove-input"],
                    "mystnb": {"image": cell.metadata["mystnb"]["image"]},
                },
            )
            title, _, rest = notebook.cells[0].source.partition("\n")
            notebook.cells[0].source = title
            below = nbformat.v4.new_markdown_cell(rest.strip(), id="below-title")
            notebook.cells[1:1] = [nbformat.from_dict(cell) for cell in (lead, below)]
            return
    raise BuildError(f"no cell draws the figure {name!r}, which opens the page. Mend LEADS.")


def add_full_scale(notebook: NotebookNode, path: Path) -> None:
    """Put each block of a page of book/full_scale/ before the heading that its first line names.

    A block of the page's title comes below it.

    The student notebook has none of this. Raises BuildError unless each heading occurs once.
    """
    if not path.exists():
        return
    before, *blocks = re.split(r"(?m)^\+\+\+ ", path.read_text(encoding="utf8"))
    if before.strip():
        raise BuildError(f"{path.name} must begin with a line '+++ ## Heading'.")
    for heading, _, text in (block.partition("\n") for block in blocks):
        line = re.compile(rf"(?m)^{re.escape(heading)}$")
        cells = [c for c in notebook.cells if c.cell_type == "markdown" and line.search(c.source)]
        if len(cells) != 1:
            found = f"{len(cells)} cells have the heading {heading!r}, not one"
            raise BuildError(f"book/full_scale/{path.name}: {found}.")
        parts = [text.strip(), heading]
        replacement = "\n\n".join(parts[::-1] if heading.startswith("# ") else parts)
        cells[0].source = line.sub(lambda _, new=replacement: new, cells[0].source, count=1)


def captioned(cell: NotebookNode) -> list[NotebookNode]:
    """Split the outputs after a cell's figure into a second cell.

    MyST-NB would give the caption and name to each output, and names must be unique.
    """
    outputs = cell.get("outputs", [])
    pictures = [n for n, out in enumerate(outputs) if "image/png" in out.get("data", {})]
    if "figure" not in cell.metadata.get("mystnb", {}) or not pictures:
        return [cell]
    after = outputs[pictures[-1] + 1 :]
    cell.outputs = outputs[: pictures[-1] + 1]
    if not after:
        return [cell]
    rest = {"id": f"{cell.id}-words", "metadata": {"tags": ["remove-input"]}, "outputs": after}
    return [cell, nbformat.v4.new_code_cell(**rest)]


def plain_output(output: NotebookNode) -> NotebookNode | None:
    """Return an output without its count; None for warnings and progress bars."""
    if output.get("name") == "stderr" or WIDGET in output.get("data", {}):
        return None
    if "execution_count" in output:
        output.execution_count = None
    return output


def student_notebook(path: Path, source: NotebookNode) -> NotebookNode:
    """Return the student notebook. Raises BuildError if its cells differ from its source's."""
    notebook = nbformat.read(path, as_version=4) if path.exists() else None
    if not notebook or [c.id for c in notebook.cells] != [c.id for c in source.cells]:
        raise BuildError(f"notebooks/{path.name} is missing or stale. Run `make notebooks`.")
    return notebook


def unmarked(notebook: NotebookNode) -> NotebookNode:
    """Return a copy with answers but without markers, for instructors."""
    notebook = nbformat.from_dict(notebook)
    for cell in notebook.cells:
        lines = cell.source.split("\n")
        cell.source = "\n".join(line for line in lines if line.strip() not in guard.MARKERS)
    return notebook


def build(root: Path, profile: str, with_answers: bool = False) -> None:
    """Write book/sections/NN.ipynb for every notebook in solutions/."""
    sections = root / "book" / "sections"
    sections.mkdir(parents=True, exist_ok=True)
    sources = pipeline.read_sources(root)
    ran = execute_all(sources, profile, root / "_build" / "executed")
    for name, source in sources.items():
        if with_answers:
            shown = unmarked(source)
        else:
            shown = student_notebook(root / "notebooks" / f"{name}.ipynb", source)
        written = page(shown, ran[name], profile)
        if name in LEADS:
            open_with_figure(written, LEADS[name])
        add_full_scale(written, root / "book" / "full_scale" / f"{name}.md")
        leaks = guard.check_leaks(f"book/sections/{name}.ipynb", guard.secrets(source), written)
        if leaks and not with_answers:
            raise BuildError("\n".join(leaks))
        nbformat.write(written, sections / f"{name}.ipynb")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="quick", help="smoke, quick (default) or report")
    parser.add_argument(
        "--with-answers", action="store_true", help="show the answers (for instructors)"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        build(arguments.root, arguments.profile, arguments.with_answers)
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
