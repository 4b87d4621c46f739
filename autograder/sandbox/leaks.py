"""Attacks that test whether one sandbox affects the next; run as cells, as in `attacks`."""

import contextlib
import os

PLACES = ("/tmp", "/dev/shm", "/", "/dev", "/opt", "/opt/course")


def leave_behind() -> tuple[bool, str]:
    import torch

    import mnistdiff

    for folder in PLACES:
        with contextlib.suppress(OSError):
            open(f"{folder}/left", "w").close()
    torch.allclose = lambda *args, **options: True
    mnistdiff.left = os.environ["LEFT"] = "left"  # pyright: ignore[reportAttributeAccessIssue]  # new
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(12345)
    return os.path.exists("/tmp/left"), "left"


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def find_left() -> tuple[bool, str]:
    import torch

    import mnistdiff

    found = [folder for folder in PLACES if os.path.exists(f"{folder}/left")]
    for name, there in (
        ("a changed torch", torch.allclose(torch.zeros(1), torch.ones(1))),
        ("an attribute", hasattr(mnistdiff, "left")),
        ("a default", torch.get_default_dtype() is not torch.float32),
        ("a seed", torch.initial_seed() == 12345),
        ("a variable", "LEFT" in os.environ),
        ("open files", sum(map(is_open, range(3, 256))) > 2),
    ):
        found += [name] * bool(there)
    return not found, ", ".join(found) or "nothing"
