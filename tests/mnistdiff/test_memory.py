"""Freed tensors are used again."""

import resource
import subprocess
import sys
import textwrap

import pytest

PAGES = 4096  # of a tensor of 16 MiB, where a page has 4 KiB

SCRIPT = """
    import platform, resource, sys
    import torch
    from mnistdiff.runtime import reuse_memory

    if platform.libc_ver()[0] != "glibc":
        sys.exit(77)
    reuse_memory()
    reuse_memory()
    for _ in range(5):  # the heap grows to where the tensor fits
        torch.ones(4 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(4 << 20)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    resource.getpagesize() != 4096, reason="the count of page faults below is of 4 KiB pages"
)
def test_memory_of_a_freed_tensor_is_used_again():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], capture_output=True, text=True
    )
    if done.returncode == 77:
        pytest.skip("only glibc has mallopt: other allocators are left as they are")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 10 * PAGES  # of 20 times that; a crowded heap may still grow
