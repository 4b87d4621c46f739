"""What the client of a ComfyUI server says when things go wrong there; the server is made up."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mnistdiff.comfyui import load_workflow, run_workflow, server
from mnistdiff.comfyui.graph import with_inputs
from mnistdiff.errors import MnistdiffError

ACCEPTED = (200, {"prompt_id": "p"})
EMPTY = (200, {"queue_running": [], "queue_pending": []})
RUNNING = (200, {"queue_running": [[0, "p", {}]], "queue_pending": []})


@pytest.fixture
def comfyui(monkeypatch):
    """A function: answers by path (a status and JSON or text; None hangs up) to an address."""
    monkeypatch.setattr(server, "POLL", 0.01)
    started = []

    def start(answers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                answer = answers.get(self.path.split("?")[0], (404, "nothing here"))
                if answer is None:
                    self.close_connection = True
                    return
                status, content = answer
                body = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_):
                pass

        asked = []
        listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        started.append(listener)
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{listener.server_port}", asked

    yield start
    for listener in started:
        listener.shutdown()
        listener.server_close()


def refused(error, nodes=None):
    return {"/prompt": (400, {"error": error, "node_errors": nodes or {}})}


def done(outputs, *messages):
    record = {"outputs": outputs, "status": {"messages": list(messages)}}
    return {"/prompt": ACCEPTED, "/queue": EMPTY, "/history/p": (200, {"p": record})}


WITHOUT_PACK = {
    "message": "Cannot execute because node MnistdiffLoader does not exist.",
    "details": "Node ID '#1'",
}
PICTURE = {"8": {"images": [{"filename": "x.png", "subfolder": "", "type": "output"}]}}
FAILED = ["execution_error", {"node_id": "3", "exception_message": "a cat"}]
CASES = {
    "a node that it lacks": (
        refused(WITHOUT_PACK),
        r"node 1 \(MnistdiffLoader\): Cannot execute.*`mnistdiff comfyui install PATH`",
    ),
    "nothing that saves": (refused({"message": "Prompt has no outputs", "details": ""}), "no outp"),
    "a bad value": (
        refused({"message": "x"}, {"6": {"errors": [{"details": "steps", "message": "too few"}]}}),
        r"node 6 \(KSampler\), input steps: too few\.",
    ),
    "a list of node errors": (
        {"/prompt": (400, {"error": {"message": "No prompt", "details": ""}, "node_errors": []})},
        "refuses the workflow: No prompt",
    ),
    "an error without JSON": ({"/prompt": (500, "oops")}, "refuses the workflow: HTTP Error 500"),
    "another program": ({"/prompt": (200, "<html>")}, "does not answer like ComfyUI"),
    "another JSON": ({"/prompt": (200, ["hello"])}, "does not answer like ComfyUI"),
    "no number": ({"/prompt": (200, {})}, r"not answer like ComfyUI \(no prompt_id\)"),
    "an answer cut off": ({"/prompt": None}, "no ComfyUI answers at"),
    "a failing node": (done({}, FAILED), r"node 3 \(CLIPTextEncode\): a cat"),
    "a stop": (done({}, ["execution_interrupted", {}]), "workflow was stopped"),
    "a part of it": (
        done({})
        | {
            "/prompt": (
                200,
                {
                    "prompt_id": "p",
                    "node_errors": {
                        "6": {"errors": [{"details": "steps", "message": "too few"}]},
                    },
                },
            )
        },
        r"ran only a part of the workflow: node 6 \(KSampler\), input steps: too few\.",
    ),
    "no picture": (done({}), "saved no image"),
    "a lost picture": (done(PICTURE), "x.png is not at"),
    "a picture that is none": (done(PICTURE) | {"/view": (200, "text")}, "x.png is not at"),
    "it dies while it works": (
        {"/prompt": ACCEPTED, "/history/p": (200, {}), "/queue": None},
        "no ComfyUI answers at",
    ),
    "it is started anew": (
        {"/prompt": ACCEPTED, "/history/p": (200, {}), "/queue": EMPTY},
        "lost the workflow",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_trouble_is_told_in_words(comfyui, case):
    answers, words = CASES[case]
    address, _ = comfyui(answers)
    with pytest.raises(MnistdiffError, match=words):
        run_workflow("basic", server=address)


def test_it_waits_no_longer_than_told(comfyui, monkeypatch):
    monkeypatch.setattr(server, "TIMEOUT", 0.1)
    address, _ = comfyui({"/prompt": ACCEPTED, "/history/p": (200, {}), "/queue": RUNNING})
    with pytest.raises(MnistdiffError, match="did not finish"):
        run_workflow("basic", server=address)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"latent_image": ["6", 0]}, r"node 6 \(KSampler\): the links form a cycle"),
        ({"spare": ["99", 0]}, "input spare: it is linked to node 99, which does not exist"),
        ({"model": ["1", 7]}, r"input model: node 1 \(MnistdiffLoader\) has no output 7"),
    ],
)
def test_what_would_stop_or_puzzle_comfyui_is_not_sent(comfyui, inputs, words):
    """A link to nowhere ends ComfyUI's worker for good; of a circle it names no node."""
    address, asked = comfyui({"/prompt": ACCEPTED})
    with pytest.raises(MnistdiffError, match=words):
        run_workflow(with_inputs(load_workflow("basic"), "6", **inputs), server=address)
    assert asked == []


def test_nodes_that_only_the_server_knows_are_sent(comfyui):
    address, asked = comfyui(refused({"message": "no", "details": ""}))
    graph = load_workflow("basic")
    graph["7"]["class_type"] = "Theirs"
    graph = with_inputs(graph, "8", images=["7", 3])
    with pytest.raises(MnistdiffError, match="refuses"):
        run_workflow(graph, server=address)
    assert asked == ["/prompt"]
