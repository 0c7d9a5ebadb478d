"""How soon does a run go on after a kill, with a large store, and how much is computed again?

Events of `benchmarks.endurance` are written to the standard input of a real `bellwether run` at
full speed until its store is large enough, and it is killed in the middle. Printed are

- the longest time between two commits: so much at most is computed again after a kill;
- the time from the start of the next process until a line that is new is committed, as a reader
  sees it through `bellwether sql`'s socket; some starts, each after a kill, and one after a stop.
"""

import argparse
import signal
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.endurance import Fed, Stream
from connectors.folderlock import LOCK_NAME
from connectors.sqlclient import query
from engine.errors import BellwetherError

__all__: list[str] = []

_CONFIG = """
data: {data}
sources: [{{name: piped, stdin: true}}]
time: {{label_horizon: 2m, allowed_lateness: 1s}}
"""
_POSITION = "SELECT coalesce(max(position), 0) FROM progress"
_WATCHED_S = 10.0
_RATE = 200_000  # events a second of event time


def _stored(data: Path) -> int:
    with duckdb.connect(str(data / "bellwether.duckdb"), read_only=True) as store:
        found = store.execute(_POSITION).fetchall()
        return int(found[0][0])


def _committed(data: Path) -> int | None:
    """Give the position as a reader sees it; None while nobody answers."""
    try:
        return int(query(str(data), _POSITION).column(0)[0].as_py())
    except (BellwetherError, OSError):
        return None


def _lock(data: Path) -> str:
    return (data / LOCK_NAME).read_text()


def _fill(run: Fed, data: Path, size: int) -> tuple[float, float]:
    """Run until the store has so many bytes.

    Then, for ten seconds, gives bytes a second of input, and the longest time between two commits,
    as a reader sees them.
    """
    marks: list[tuple[float, int]] = []
    file = data / "bellwether.duckdb"
    while not file.exists() or file.stat().st_size < size:
        time.sleep(1.0)
        run.check()
    until_s = time.perf_counter() + _WATCHED_S
    while time.perf_counter() < until_s or len(marks) < 3:
        run.check()
        position = _committed(data) or 0
        if not marks or position > marks[-1][1]:
            marks.append((time.perf_counter(), position))
        time.sleep(0.01)
    (early_s, early), (late_s, late) = marks[0], marks[-1]
    longest_s = max(after - before for (before, _), (after, _) in pairwise(marks))
    return (late - early) / (late_s - early_s), longest_s


def _restart(config: Path, stream: Stream, data: Path, number: int) -> float:
    """Start it, wait for a commit, and end it by a signal; gives seconds to the commit."""
    before = _stored(data)
    run = Fed(config, stream)
    # Before it answers, whoever asks would open the file himself, and the start would wait for him.
    while f'"pid": {run.process.pid}' not in _lock(data) or "socket" not in _lock(data):
        run.check()
        time.sleep(0.01)
    while (_committed(data) or 0) <= before:
        run.check()
        time.sleep(0.05)  # each look is work for the run, too
    took_s = time.perf_counter() - run.began_s
    time.sleep(3.0)
    run.end(number)
    return took_s


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure how soon a run goes on after a kill.")
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-recovery-") as name:
        data, config = Path(name, "data"), Path(name, "config.yaml")
        config.write_text(_CONFIG.format(data=data))
        stream = Stream(_RATE, given.seed)
        run = Fed(config, stream)
        speed, longest_s = _fill(run, data, int(given.gigabytes * 1e9))
        run.end(signal.SIGKILL)
        size = (data / "bellwether.duckdb").stat().st_size
        print(
            f"{run.events:,} events, {size / 1e9:.1f} GB; {speed / 1e6:,.0f} MB of input a second"
        )
        print(f"between two commits: {longest_s:.2f} s at most, so much is computed again")
        took = []
        for nth in range(given.starts):
            last = nth == given.starts - 1
            number = signal.SIGTERM if last else signal.SIGKILL
            took.append(_restart(config, stream, data, number))
            print(f"  start {nth + 1}: {took[-1]:.2f} s to the first new commit", flush=True)
        print(f"after kills: {median(took):.2f} s in the middle, {max(took):.2f} s at most")
        print(f"after a stop: {_restart(config, stream, data, signal.SIGTERM):.2f} s")


if __name__ == "__main__":
    _main()
