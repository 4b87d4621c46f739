"""Memory of a network's activations is used again instead of being returned to the system."""

import ctypes
import sys
from functools import cache

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
