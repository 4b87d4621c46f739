"""Does the judge stand whatever a student's process answers?"""

import contextlib
import json
import random
import socket
import struct
import threading

import pytest
import torch
from small import filled, notebooks

from autograder.checks import find, registry
from autograder.grading.notebook_run import grade_notebook
from autograder.grading.remote_student import RemoteStudent
from autograder.inside import agent, wire
from autograder.inside.namespaces import Limits
from autograder.inside.stubs import Filled, Settings, Stub
from autograder.inside.student import Foreign, Handle
from autograder.sandbox.process import Sandbox
from autograder.sandbox.watch import SandboxDied


def frame(text: bytes, numbers: bytes = b"") -> bytes:
    return struct.pack("<II", len(text), len(numbers)) + text + numbers


def lying(shape: list[int], offsets: list[int], data: bytes = b"1234") -> bytes:
    header = json.dumps({"0": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
    return struct.pack("<Q", len(header)) + header + data


TENSOR = b'{"value": {"~": "tensor", "at": 0}}'
FRAMES = {
    "nothing": b"",
    "garbage": b"\xff\x00garbage" * 40,
    "4 GB of text": struct.pack("<II", 0xFFFFFFFF, 0),
    "4 GB of numbers": struct.pack("<II", 2, 0xFFFFFFFF) + b"{}",
    "half a frame": struct.pack("<II", 100, 0) + b"{",
    "no JSON": frame(b"value"),
    "no UTF-8": frame(b'{"value": "\xff"}'),
    "no object": frame(b"[1, 2]"),
    "empty": frame(b"{}"),
    "NaN": frame(b'{"value": NaN}'),
    "infinity": frame(b'{"value": -Infinity}'),
    "large integer": frame(b'{"value": 1' + b"0" * 400 + b"}"),
    "larger integer": frame(b'{"value": 1' + b"0" * 5000 + b"}"),
    "deep lists": frame(b'{"value": ' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "deeper lists": frame(b'{"value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "lists below the limit": frame(b'{"value": ' + b"[" * 20 + b"]" * 20 + b"}"),
    "unknown kind": frame(b'{"value": {"~": "code", "x": 1}}'),
    "no kind": frame(b'{"value": {"a": 1}}'),
    "unhashable": frame(b'{"value": {"~": [], "at": {}}}'),
    "no such tensor": frame(TENSOR),
    "infinite handle": frame(b'{"value": {"~": "handle", "number": Infinity}}'),
    "stub of itself": frame(b'{"value": {"~": "stub", "name": "x", "weights": {"self": 1}}}'),
    "settings": frame(b'{"value": {"~": "settings", "path": "os:system", "values": []}}'),
    "numbers that are none": frame(TENSOR, b"x" * 100),
    "long header": frame(TENSOR, struct.pack("<Q", 1 << 62) + b"{}"),
    "shape beyond the data": frame(TENSOR, lying([1 << 20, 1 << 20], [0, 4])),
    "shape that overflows": frame(TENSOR, lying([1 << 33, 1 << 33], [0, 4])),
    "negative shape": frame(TENSOR, lying([-1], [0, 4])),
    "offsets outside": frame(TENSOR, lying([1], [4, 1 << 40])),
    "offsets backwards": frame(TENSOR, lying([1], [4, 0])),
    "truth": frame(b'{"value": 0.0}'),
    "wrong is no text": frame(b'{"wrong": [1, 2]}'),
    "interrupted is no text": frame(b'{"interrupted": {"~": "dict", "items": []}}'),
    "huge shape of nothing": frame(TENSOR, lying([0, 1 << 40], [0, 0], b"")),
}


class Impostor:
    """A fork server whose sandboxes answer every request with the same bytes."""

    limits = Limits()

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.theirs: list[socket.socket] = []

    def spawn(self) -> Sandbox:
        ours, theirs = socket.socketpair()
        self.theirs.append(theirs)
        wire.send(theirs, {"ready": True})
        threading.Thread(target=self._answer, args=(theirs,), daemon=True).start()
        return Sandbox(self, 1, ours)

    def _answer(self, theirs: socket.socket) -> None:
        try:
            while wire.receive(theirs):
                if not self.reply:
                    return theirs.close()
                theirs.sendall(self.reply)
                if wire.LENGTHS.size + sum(wire.LENGTHS.unpack(self.reply[:8])) > len(self.reply):
                    theirs.shutdown(socket.SHUT_WR)
        except (wire.BrokenFrame, OSError):
            theirs.close()

    def kill(self, pid: int) -> int:
        for theirs in self.theirs:
            theirs.close()
        return 0

    def resident(self) -> int:
        return 0


@pytest.mark.parametrize("name", FRAMES)
def test_no_answer_stops_the_judge(name):
    released = notebooks("kl_divergence", "ddim_sigma")
    answers = {"kl_divergence": "pass", "ddim_sigma": "pass"}
    graded = grade_notebook(released, filled(released, answers), ("a", "b"), Impostor(FRAMES[name]))
    assert [cell["points"] for cell in graded.verdict["cells"]] == [0.0, 0.0]
    assert json.dumps(graded.verdict, allow_nan=False)


def test_a_result_has_less_room_than_what_a_cell_shows():
    fork_server = Impostor(frame(b'{"value": "' + b"x" * (2 << 20) + b'"}'))
    with fork_server.spawn() as sandbox:
        assert len(sandbox.ask(5, op="cell")["value"]) == 2 << 20
        with pytest.raises(SandboxDied, match="frame"):
            sandbox.ask(5, op="call")


def test_of_many_outputs_the_first_are_kept():
    outputs = [{"text": "x" * 1_000_000} for _ in range(9)]
    assert agent._fitting(outputs) == outputs[: agent.MAX_SHOWN // 1_000_100]


def deep(levels: int) -> list:
    return [deep(levels - 1)] if levels else []


ONE = torch.ones(())
VALUES = [
    *(None, True, 3, 10**400, float("nan"), float("inf"), "text", [1, 2], [1, "a", None], []),
    *(deep(10), (1, 2, 3), (ONE, ONE, ONE), ("a", "b", "c"), {"a": 1}, Foreign("x"), Handle(7)),
    *(Stub("linear_eps", A=ONE), Settings("os:system", command="x"), Filled(1)),
    *(ONE, ONE * torch.nan, ONE.bool(), ONE.long(), ONE.bfloat16(), ONE.to(torch.float8_e4m3fn)),
    *(torch.ones(2, dtype=torch.complex64), torch.zeros(0), torch.zeros(0, 1 << 40)),
    *(torch.ones(4), torch.ones(4, 3), torch.ones(3, dtype=torch.uint8)),
    {
        "1": {"class_type": "KSampler", "inputs": {"model": ["2", 0], "positive": ["1", 0]}},
        "2": None,
    },
    {"1": {"class_type": ["KSampler"], "inputs": {"model": [[], {}]}}, "2": 3},
    {"1": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "clip": ["1", 1]}}},
]


class Same:
    """A sandbox that answers every question with one value, in the form that is expected."""

    def __init__(self, value: object, formed: bool) -> None:
        self.value = value
        self.formed = formed

    def ask(self, seconds: float, **request: object) -> dict:
        value = self.value
        match request["op"] if self.formed or request["op"] in ("enter", "leave") else "":
            case "enter" | "leave":
                value = None
            case "new":
                value = Handle(0)
            case "grad":
                value = [value if isinstance(value, torch.Tensor) else None for _ in request["wrt"]]
            case "call_and_look":
                value = (value, [value for _ in request["args"]])
        return crossed({"value": value})


def crossed(message: dict) -> dict:
    """What the other side gets."""
    tensors: list[torch.Tensor] = []
    shape = wire.encode(message["value"], tensors)
    numbers = {str(at): tensor for at, tensor in enumerate(tensors)}
    return {"value": wire.decode(json.loads(json.dumps(shape)), numbers)}


@pytest.mark.parametrize("name", registry())
def test_no_value_stops_a_check_or_earns_its_points(name):
    for value in VALUES:
        for formed in (False, True):
            verdicts = find(name)().run(RemoteStudent(Same(value, formed)), 0)
            earned = sum(verdict.points for verdict in verdicts if verdict.passed)
            assert earned < find(name).points / 2, value


def test_whatever_bytes_come_are_a_message_or_broken():
    source = random.Random(0)
    whole = [data for data in FRAMES.values() if data]
    message = {"value": [torch.ones(2, 3), (1, "x"), {"a": [None]}], "other": Handle(1)}
    ours, theirs = socket.socketpair()
    wire.send(ours, message)
    with ours, theirs:
        whole.append(theirs.recv(1 << 16))
    for _ in range(3000):
        data = bytearray(source.choice(whole))
        for _ in range(source.randint(1, 8)):
            data[source.randrange(len(data))] = source.choice(
                (0, 255, 34, 91, source.randrange(256))
            )
        data = data[: source.choice((len(data), source.randint(1, len(data))))]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(data[:50_000])
            ours.shutdown(socket.SHUT_WR)
            with contextlib.suppress(wire.BrokenFrame):
                assert isinstance(wire.receive(theirs), dict)


def test_what_crosses_the_border_is_the_same_there():
    value = [1, 2.5, "x", None, True, (1, [2]), {"a": (3,)}, Handle(4), Foreign("Thing")]
    assert crossed({"value": value})["value"] == value
    for dtype in (torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64):
        tensor = torch.arange(6).reshape(2, 3).to(dtype).T
        there = crossed({"value": tensor})["value"]
        assert there.dtype == dtype
        assert torch.equal(there, tensor)
