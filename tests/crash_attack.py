"""Kills a running command again and again, and compares all that it stored with a calm run.

::

    PYTHONPATH=.:tests python -m crash_attack --source files --kills 200 --seeds 1 2 3 4 5
    PYTHONPATH=.:tests python -m crash_attack --source events --stream electricity --keep /tmp/found

A store is filled by a process that is killed, by `kill -9` at a random moment or by itself right
after (or halfway through) a chosen write (`crash_writes`), and started again. After a few kills it
is let through to the end; then every relation is compared with that of a run that was left alone,
and the next store begins. `--source` is files, kafka, follow, stdin, repeats, events or alone;
what each of them is stands in `crash_sources`. What differs is told with the seed, the store and
its kills.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crash_compare import differences
from crash_settings import everything_set, unwatched_set
from crash_sources import SOURCES
from crash_stream import electricity, everything
from crash_writes import Blow, counted, library, watched

__all__ = ["STREAMS", "Attack", "Calm", "Figures", "calm_run", "through"]

KILLS_A_STORE = 6
_WITHIN_S = 90.0
_LIVES_S = (1.5, 4.0)  # at most so long before a kill, by how long the calm run took
_BLOWS = (
    Blow(),
    Blow(("wal",)),
    Blow(("wal",), ("sync",)),
    Blow(("wal",), ("write",), torn=True),
    Blow(("database",)),
    Blow(("database",), ("write",), torn=True),
    Blow(("other",)),
)


def _no_reference(seed, count):
    """The lines of `everything` without reference events, which make rules of drift."""
    return [line for line in everything(seed, count) if b"reference" not in line]


STREAMS = {
    "everything": (
        everything,
        lambda seed: lambda folder: everything_set(seed, folder / "reference.ndjson"),
    ),
    "unwatched": (
        _no_reference,
        lambda seed: lambda folder: unwatched_set(seed, folder / "reference.ndjson"),
    ),
    "electricity": (lambda _seed, _count: electricity(), lambda _seed: lambda _folder: {}),
}
"""Of each stream: its lines, by seed and count, and the sections of its configuration, by seed."""


@dataclass(frozen=True, slots=True)
class Calm:
    """A run that was left alone: its data folder, how long it took, and what it wrote."""

    data: Path
    took_s: float
    writes: dict[Blow, int]


@dataclass(slots=True)
class Figures:
    """What an attack came to; `kills` by what they were, `found` what was not as it should be."""

    kills: Counter = field(default_factory=Counter)
    stores: int = 0
    found: list = field(default_factory=list)

    def __str__(self):
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({told}) of {self.stores} stores: {len(self.found)} differ"
        )


def calm_run(source):
    """Let a source run to its end, undisturbed, and once more for nothing."""
    told, environment = source.folder / "told", None
    if library() is not None:
        environment = watched(source.data, told, Blow())
    began = time.monotonic()
    if source.live:
        source.close()
        source.settle()
    else:
        process = source.start(environment)
        through(source, process)
    took_s = time.monotonic() - began
    source.settle()
    writes = {}
    if environment is not None and not source.live:
        writes = {blow: counted(told).of(blow) for blow in _BLOWS}
    return Calm(source.data, took_s, writes)


class Attack:
    """So many kills of stores that `made` begins, each in a folder of its own.

    Parameters
    ----------
    made : callable
        Gives a source over a folder.
    calm : Calm
        What each store must end as.
    folder : Path
    seed : int
        Of the moments and the writes.
    """

    def __init__(self, made, calm, folder, *, seed):
        self.made, self.calm, self.folder = made, calm, folder
        self.chance, self.figures = random.Random(seed), Figures()

    def run(self, kills, a_store=KILLS_A_STORE, *, keep=False):
        """Kill so many times; gives figures. Stores that end well are removed."""
        left = kills
        while left > 0:
            before = self.figures.kills.total()
            self.store(min(left, a_store), keep=keep)
            left -= max(1, self.figures.kills.total() - before)
        return self.figures

    def store(self, kills, *, keep):
        """Fill one store, killed so many times on the way, and compare it."""
        source = self.made(self.folder / f"store-{self.figures.stores}")
        self.figures.stores += 1
        log, done = [], False
        try:
            while not done and len(log) < kills:
                done = self.hit(source, log)
            if not done:
                self.let_through(source)
            source.settle()
        except AssertionError as fault:
            problems = [f"it could not go on: {fault}"]
        else:
            problems = differences(
                *(source.data, self.calm.data, source.names, source.without),
                live=source.calm == "alone",
            )
        finally:
            source.close()
        if problems:
            self.figures.found.append("\n".join([f"{source.folder}:", *log, *problems]))
        elif not keep:
            shutil.rmtree(source.folder)

    def hit(self, source, log):
        """Start the process and kill it; gives whether it ended well before that."""
        blow, wait_s = self.chosen()
        told = source.folder / "told"
        process = source.start(watched(source.data, told, blow) if blow else None)
        what = None
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            what = f"after {wait_s:.2f} s"
        code = process.wait()
        done = source.ended(process)
        if code == -9:
            at = counted(told).hit if what is None else None
            log.append(f"  killed {what or f'{blow}: {at}'}")
            self.figures.kills[
                "torn" if at and blow.torn else "by a write" if at else "by time"
            ] += 1
        else:
            assert code == 0, f"exit code {code} after {log}: {source.said.read_text()}"
        return done

    def chosen(self):
        """Choose a blow, or None, and for how long to wait for it at most."""
        chance, life_s = self.chance, min(max(_LIVES_S[0], self.calm.took_s), _LIVES_S[1])
        if not self.calm.writes or chance.random() < 0.35:
            return None, chance.uniform(0, life_s)
        # More often the first ones: each of them is a restart without much else.
        blow = chance.choice([each for each, count in self.calm.writes.items() if count])
        number = 1 + int(self.calm.writes[blow] * chance.random() ** 2)
        return Blow(blow.files, blow.calls, number, blow.torn), 1.5 * life_s

    def let_through(self, source):
        """Start the process and wait for its end."""
        if source.live:
            return
        through(source, source.start())


def through(source, process):
    """Wait for a process that nobody kills; it must take everything."""
    try:
        process.wait(_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        source.ended(process)
        msg = f"it did not end within {_WITHIN_S:.0f} s: {source.said.read_text()}"
        raise AssertionError(msg) from None
    assert source.ended(process), f"exit code {process.returncode}: {source.said.read_text()}"


def _attacked(told, seed, folder):
    """Attack one stream, told by the words of the command."""
    lines_of, sections_of = STREAMS[told.stream]
    lines, sections = lines_of(seed, told.lines), sections_of(seed)
    source = SOURCES[told.source]
    calm = calm_run(SOURCES[source.calm](folder / "calm", lines, sections))
    kills = -(-told.kills // len(told.seeds))
    attack = Attack(lambda path: source(path, lines, sections), calm, folder, seed=seed)
    return attack.run(kills, keep=bool(told.keep))


def main():
    """Run the command; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--source", choices=sorted(SOURCES), default="files")
    parser.add_argument("--stream", choices=sorted(STREAMS), default="everything")
    parser.add_argument("--lines", type=int, default=2_000, help="of the made stream")
    parser.add_argument("--kills", type=int, default=20, help="over all seeds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--keep", help="a folder for all stores, which stay there")
    told = parser.parse_args()
    found = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(told.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in told.seeds:
            began = time.monotonic()
            figures = _attacked(told, seed, folder / f"seed-{seed}")
            took_s = time.monotonic() - began
            sys.stdout.write(f"seed {seed}: {figures}; {took_s:.0f} s\n")
            sys.stdout.write("".join(f"{each}\n" for each in figures.found))
            sys.stdout.flush()
            found += len(figures.found)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
