"""Running a graph on a real ComfyUI server, over its HTTP interface."""

import http.client
import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mnistdiff.comfyui.files import Workflow
from mnistdiff.comfyui.graph import Graph, check_wiring, describe_node
from mnistdiff.comfyui.nodes import NODE_CLASS_MAPPINGS
from mnistdiff.comfyui.page import WidgetNames
from mnistdiff.comfyui.workflow import join_images
from mnistdiff.errors import MnistdiffError
from mnistdiff.pictures import read_grey

POLL = 0.2  # seconds
TIMEOUT = 600  # seconds that a graph may take
MAX_ABSENT = 5  # polls in a row in which the graph may be neither waiting, running nor done


def run_on_server(workflow: Workflow, server: str) -> Float[Tensor, "n 1 h w"]:
    """Submit a workflow, wait with a progress bar, and return its images as grey in [0, 1].

    These are the saved images, or the previewed ones if none is saved. Raises MnistdiffError if the
    server does not answer, if it refuses the graph (naming node and input), or if the run fails.
    """
    graph, server = workflow.graph, _address(server)
    check_wiring(graph)  # some broken links stop ComfyUI's worker for good
    body: dict[str, Any] = {"prompt": graph, "client_id": uuid.uuid4().hex}
    if workflow.page is not None:  # for the saved pictures
        body["extra_data"] = {"extra_pnginfo": {"workflow": workflow.page}}
    answer = _request_json(server, "/prompt", body, graph)
    if "prompt_id" not in answer:
        raise MnistdiffError(f"{server} does not answer like ComfyUI (no prompt_id).")
    history = _wait(server, answer["prompt_id"], graph)
    if problems := _node_problems(answer.get("node_errors"), graph):
        raise MnistdiffError(f"ComfyUI at {server} ran only a part of the workflow: {problems}.")
    images = [image for output in history["outputs"].values() for image in output.get("images", [])]
    saved = [image for image in images if image.get("type") == "output"]
    if not images:
        raise MnistdiffError("the workflow ran but saved no image: add SaveImage.")
    return join_images([_fetch(server, image) for image in saved or images])


def widget_names(server: str) -> WidgetNames:
    """Return a function that asks a server for the names of a node's widgets."""

    def names(kind: str) -> list[str] | None:
        path = f"/object_info/{urllib.parse.quote(kind, safe='')}"
        found = _request_json(_address(server), path).get(kind)
        if found is None:
            return None
        given = found["input"]
        inputs = {**given.get("required", {}), **given.get("optional", {})}
        return [name for name, (kind, *_) in inputs.items() if _is_widget(kind)]

    return names


def _is_widget(kind: Any) -> bool:
    """Return whether an input's type in /object_info is one that the page shows as a widget."""
    return isinstance(kind, list) or kind in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def _address(server: str) -> str:
    return server.rstrip("/") if "://" in server else f"http://{server.rstrip('/')}"


def _wait(server: str, prompt_id: str, graph: Graph) -> dict[str, Any]:
    from tqdm.auto import tqdm

    deadline, absent = time.monotonic() + TIMEOUT, 0
    with tqdm(desc="ComfyUI", unit="s", bar_format="{desc}: {elapsed} {postfix}") as bar:
        while time.monotonic() < deadline:
            found = _request_json(server, f"/history/{prompt_id}").get(prompt_id)
            if found is not None:
                _raise_failure(found, graph)
                return found
            queue = _request_json(server, "/queue")
            waiting = queue.get("queue_pending", [])
            known = any(prompt_id in entry for entry in [*waiting, *queue.get("queue_running", [])])
            absent = 0 if known else absent + 1
            if absent == MAX_ABSENT:
                raise MnistdiffError(
                    f"ComfyUI at {server} lost the workflow; it may have been restarted."
                )
            bar.set_postfix_str(f"{len(waiting)} waiting")
            time.sleep(POLL)
    raise MnistdiffError(f"ComfyUI at {server} did not finish in {TIMEOUT} seconds.")


def _raise_failure(found: dict[str, Any], graph: Graph) -> None:
    for kind, details in found.get("status", {}).get("messages", []):
        if kind == "execution_error":
            name = str(details.get("node_id"))
            where = describe_node(graph, name) if name in graph else f"node {name}"
            raise MnistdiffError(f"{where}: {details.get('exception_message', '').strip()}")
        if kind == "execution_interrupted":
            raise MnistdiffError("the workflow was stopped in ComfyUI.")


def _fetch(server: str, image: dict[str, str]) -> Float[Tensor, "1 1 28 28"]:
    try:
        with _open(server, f"/view?{urllib.parse.urlencode(image)}") as answer:
            return read_grey(io.BytesIO(answer.read()))
    except OSError as error:
        raise MnistdiffError(f"{image['filename']} is not at {server} ({error}).") from error


def _request_json(
    server: str, path: str, data: dict[str, Any] | None = None, graph: Graph | None = None
) -> dict[str, Any]:
    try:
        with _open(server, path, data) as answer:
            found = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise MnistdiffError(_refusal_message(server, error, graph or {})) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise MnistdiffError(f"{server} does not answer like ComfyUI ({error}).") from error
    if not isinstance(found, dict):
        raise MnistdiffError(f"{server} does not answer like ComfyUI ({found!r:.60}).")
    return found


def _open(server: str, path: str, data: dict[str, Any] | None = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    try:
        request = urllib.request.Request(
            server + path, body, {"Content-Type": "application/json"} if body else {}
        )
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError:
        raise
    except (OSError, ValueError, http.client.InvalidURL) as error:
        reason = getattr(error, "reason", error)
        raise MnistdiffError(
            f"no ComfyUI answers at {server} ({reason}). Start it (python main.py --cpu), or leave "
            "out `server` to run the workflow here."
        ) from error


def _refusal_message(server: str, error: urllib.error.HTTPError, graph: Graph) -> str:
    try:
        answer = json.loads(error.read())
        problems = _node_problems(answer["node_errors"], graph)
        message = problems or _workflow_error(answer["error"], graph)
    except (ValueError, KeyError, TypeError):
        message = str(error)
    return f"ComfyUI at {server} refuses the workflow: {message.rstrip('.')}."


def _node_problems(node_errors: Any, graph: Graph) -> str:
    """Return what ComfyUI found wrong with single nodes, "" if nothing."""
    return "; ".join(
        f"{describe_node(graph, name)}, input {problem['details']}: {problem['message']}"
        for name, node in dict(node_errors or {}).items()
        for problem in node["errors"]
    )


def _workflow_error(error: dict[str, Any], graph: Graph) -> str:
    """Return the error of a workflow as a whole; ComfyUI names some nodes as "Node ID '#7'"."""
    name = error["details"].partition("'#")[2].rstrip("'")
    if name not in graph:
        return error["message"]
    ours = graph[name]["class_type"] in NODE_CLASS_MAPPINGS
    hint = " Run `mnistdiff comfyui install PATH` and restart ComfyUI." if ours else ""
    return f"{describe_node(graph, name)}: {error['message']}{hint}"
