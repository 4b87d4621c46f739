"""How a process runs: its seeds, its device and precision, its memory, and whether it is graded."""

import ctypes
import os
import random
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from numbers import Integral

import numpy as np
import torch

from mnistdiff.errors import MnistdiffError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
LARGEST, KEPT = 32 << 20, 1 << 30  # bytes: glibc takes no larger threshold; may lie idle


@cache
def reuse_memory() -> None:
    """Let glibc keep freed tensors of up to 32 MiB for the next ones, in the whole process.

    By default it returns each to the kernel, which clears the pages again for the next layer: a
    quarter of the U-Net's time. Other systems' allocators are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def check_seed(seed: int) -> None:
    """Raise MnistdiffError for a seed outside 0 ... 2^32 - 1, NumPy's limits."""
    if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
        raise MnistdiffError(f"seed is {seed!r}; it must be a whole number from 0 to {2**32 - 1}.")


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch, and return a fresh CPU generator with the same seed.

    Raises as `check_seed`.
    """
    check_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def default_device() -> torch.device:
    """CUDA or MPS where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 where the hardware multiplies it natively (CUDA, AVX512-BF16); else nothing."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    if device.type == "cuda" or (device.type == "cpu" and native()):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def under_grading() -> bool:
    """Whether nbgrader, or a grader like it, runs this kernel: then no seconds are spent."""
    return bool(os.environ.get("NBGRADER_EXECUTION"))
