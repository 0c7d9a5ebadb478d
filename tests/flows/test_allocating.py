"""The C library is told to keep freed memory: in a process of its own, as it holds for good."""

import subprocess
import sys

_PROGRAM = """
import resource, sys
import numpy as np
from flows.allocating import keep_freed_memory

def faults(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        np.ones(5_000_000)  # 40 MB: more than glibc ever keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults(5)
if not keep_freed_memory():
    sys.exit(3)
faults(2)
print(given_back, faults(5))
"""


def test_contract_the_memory_of_a_block_is_used_again():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    given_back, kept = map(int, done.stdout.split())
    assert kept < given_back / 10
