"""The same graph on a real ComfyUI, over its HTTP interface."""

import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.comfyui.graph import Graph, place
from mnistdiff.errors import MnistdiffError
from mnistdiff.pictures import read_grey

POLL = 0.2  # seconds
TIMEOUT = 600  # seconds that a graph may take


def run_on_server(graph: Graph, server: str) -> Float[Tensor, "n 1 28 28"]:
    """Submit, wait with a progress bar, and fetch every image, as grey in [0, 1].

    Raises MnistdiffError for a server that does not answer, a graph that it refuses (with the
    node and input that it names), and a run that fails there.
    """
    server = server.rstrip("/") if "://" in server else f"http://{server.rstrip('/')}"
    answer = _ask(server, "/prompt", {"prompt": graph, "client_id": uuid.uuid4().hex}, graph)
    history = _wait(server, answer["prompt_id"], graph)
    images = [
        _fetch(server, image)
        for output in history["outputs"].values()
        for image in output.get("images", [])
    ]
    if not images:
        raise MnistdiffError("the workflow ran but saved no image: add SaveImage.")
    return torch.cat(images)


def _wait(server: str, prompt_id: str, graph: Graph) -> dict[str, Any]:
    from tqdm.auto import tqdm

    until = time.monotonic() + TIMEOUT
    with tqdm(desc="ComfyUI", unit="s", bar_format="{desc}: {elapsed} {postfix}") as bar:
        while time.monotonic() < until:
            found = _ask(server, f"/history/{prompt_id}").get(prompt_id)
            if found is not None:
                _raise_failure(found, graph)
                return found
            queue = _ask(server, "/queue")
            bar.set_postfix_str(f"{len(queue.get('queue_pending', []))} waiting")
            time.sleep(POLL)
    raise MnistdiffError(f"ComfyUI at {server} did not finish in {TIMEOUT} seconds.")


def _raise_failure(found: dict[str, Any], graph: Graph) -> None:
    for kind, details in found.get("status", {}).get("messages", []):
        if kind == "execution_error":
            name = str(details.get("node_id"))
            where = place(graph, name) if name in graph else f"node {name}"
            raise MnistdiffError(f"{where}: {details.get('exception_message', '').strip()}")


def _fetch(server: str, image: dict[str, str]) -> Float[Tensor, "1 1 28 28"]:
    with _open(server, f"/view?{urllib.parse.urlencode(image)}") as answer:
        return read_grey(io.BytesIO(answer.read()))


def _ask(
    server: str, path: str, data: dict[str, Any] | None = None, graph: Graph | None = None
) -> dict[str, Any]:
    try:
        with _open(server, path, data) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise MnistdiffError(_refusal(server, error, graph or {})) from error
    except ValueError as error:
        raise MnistdiffError(f"{server} answers, but not as ComfyUI does ({error}).") from error


def _open(server: str, path: str, data: dict[str, Any] | None = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(
        server + path, body, {"Content-Type": "application/json"} if body else {}
    )
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise MnistdiffError(
            f"no ComfyUI answers at {server} ({reason}). Start it (python main.py --cpu), or leave "
            "out `server` to run the workflow here."
        ) from error


def _refusal(server: str, error: urllib.error.HTTPError, graph: Graph) -> str:
    try:
        told = json.loads(error.read())
        problems = [
            f"{place(graph, name)}, input {problem['details']}: {problem['message']}"
            for name, node in told.get("node_errors", {}).items()
            for problem in node["errors"]
        ]
        said = "; ".join(problems) or told["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = str(error)
    return f"ComfyUI at {server} refuses the workflow: {said}."
