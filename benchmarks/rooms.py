"""What the files of single rooms share: seeded blocks, and the best of several runs."""

import time
from collections.abc import Callable
from io import BytesIO

from benchmarks.workload import Workload, lines
from engine.batch import Block

__all__ = ["best_s", "blocks", "say"]

_BLOCK_BYTES = 16 << 20
_LATER_US = 2_000_000_000_000_000  # a receipt behind every event time of the workload


def blocks(count: int) -> list[Block]:
    """Give blocks of whole lines of the workload, 16 MiB each."""
    buffer = BytesIO()
    for piece in lines(Workload(lines=count * 60_000)):
        buffer.write(piece)
    data, found, at = buffer.getvalue(), [], 0
    while len(found) < count:
        end = data.rfind(b"\n", at, at + _BLOCK_BYTES) + 1
        found.append(Block("benchmark", "blocks", at, data[at:end], _LATER_US))
        at = end
    return found


def best_s(act: Callable[[], object], runs: int = 5) -> float:
    """Give the shortest of several runs, in seconds."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return min(took)


def say(ours: str, ours_s: float, theirs: str, theirs_s: float, count: int) -> None:
    """Print both figures in microseconds a line, and the ratio."""
    for name, took in ((ours, ours_s), (theirs, theirs_s)):
        print(f"{name:<44} {took / count * 1e6:8.3f} us a line")
    print(f"{'ratio':<44} {theirs_s / ours_s:8.1f} times as fast")
