"""Does anything grow? A stream without end at full speed, with `retention`: memory, file, queries.

Events of `benchmarks.workload` are written to the standard input of a real `bellwether run` as fast
as it takes them, event time as fast as the wall clock: the same lines again and again, each time
with the next ids and times. Two minutes of events are kept. Every few seconds the memory of the
process, the size of its store, and the times of three queries through `bellwether sql`'s socket are
read. Printed is how each stood, quarter by quarter, and how the last compares to the second.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.process import ENVIRONMENT, module
from benchmarks.workload import START_MS, Workload, lines
from connectors.sqlclient import query

__all__ = ["Fed", "Stream"]

_CONFIG = """
data: {data}
sources: [{{name: piped, stdin: true}}]
time: {{label_horizon: 2m, allowed_lateness: 1s}}
retention: {{events: {kept_s}s, evaluations: 10m}}
alert_rules:
  - {{model: model-01, metric: accuracyRateMulticlass, bound: lower, threshold: 0.5,
     severity: warning, lookback_period: 1, name: accuracy}}
  - {{model: model-02, metric: accuracyRateMulticlass, bound: upper, threshold: 0.99,
     severity: warning, lookback_period: 1, name: macro}}
"""
_QUERIES = {
    "confusion matrix of a model": "SELECT label, prediction, sum(count) FROM confusion_matrix"
    " WHERE model_id = 'model-03' GROUP BY ALL",
    "last minutes of a metric": "SELECT * FROM metric_values WHERE model_id = 'model-04'"
    " AND metric_name = 'accuracyRateMulticlass' ORDER BY window_end DESC LIMIT 5",
    "events of the last second": "SELECT count(*), avg(score) FROM events WHERE model_id ="
    " 'model-05' AND event_time >= (SELECT max(watermark) - INTERVAL 1 SECOND FROM progress)",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: after so many seconds, bytes of memory and store, seconds of each query."""

    after_s: float
    memory: int
    store: int
    queries: tuple[float, ...]


class Stream:
    """Chunks of lines whose ids and times go on for ever.

    Parameters
    ----------
    a_second : int
        Events a second of event time.
    """

    def __init__(self, a_second: int, seed: int) -> None:
        made = Workload(lines=500_000, step_ms=1, seed=seed)
        data = b"".join(bytes(piece) for piece in lines(made))
        self._text = np.frombuffer(data, np.uint8).copy()
        self._count = made.predictions
        self.lines = made.lines
        self._a_second = a_second
        self._turn = 0
        self._ids = self._behind(b'"id":"e', 9)
        self._times = self._behind(b'"timestamp":', 13)
        self._number = self._read(self._ids, 9)
        # A label comes up to some seconds after the prediction it belongs to.
        place = np.arange(len(self._number)) * self._count // len(self._number)
        self._order = np.maximum(place, self._number)

    def _behind(self, mark: bytes, width: int) -> np.ndarray:
        text, found = self._text.tobytes(), []
        at = text.find(mark)
        while at >= 0:
            found.append(at + len(mark))
            at = text.find(mark, at + len(mark) + width)
        return np.array(found)

    def _read(self, at: np.ndarray, width: int) -> np.ndarray:
        number = np.zeros(len(at), np.int64)
        for place in range(width):
            number = number * 10 + self._text[at + place] - 48
        return number

    def _write(self, at: np.ndarray, width: int, number: np.ndarray) -> None:
        for place in range(width - 1, -1, -1):
            number, digit = np.divmod(number, 10)
            self._text[at + place] = digit + 48

    def chunks(self) -> Iterator[memoryview]:
        """Give the lines, some 500,000 at a time; a second call goes on behind the first."""
        while True:
            base = self._turn * self._count
            self._write(self._ids, 9, self._number + base)
            times = START_MS + (self._order + base) * 1000 // self._a_second
            self._write(self._times, 13, times)
            self._turn += 1
            yield memoryview(self._text)


class Fed:
    """A `bellwether run` that is fed the stream as fast as it takes it.

    Attributes
    ----------
    process : subprocess.Popen
    began_s : float
        When it was started, by `time.perf_counter`.
    events : int
        Lines that were written to it, by whole chunks.
    """

    def __init__(self, config: Path, stream: Stream) -> None:
        chunks = stream.chunks()
        ready = next(chunks)  # to make lines takes the time of a core
        self.began_s = time.perf_counter()
        self.process = subprocess.Popen(
            module("flows", "run", config),
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert self.process.stdin is not None
        self.events = 0
        self._pipe = os.dup(self.process.stdin.fileno())
        self.process.stdin.close()
        self._ended = threading.Event()
        self._feeder = threading.Thread(
            target=self._feed, args=(stream.lines, ready, chunks), daemon=True
        )
        self._feeder.start()

    def check(self) -> None:
        """Raise RuntimeError when the process has ended by itself."""
        if self.process.poll() is not None:
            msg = f"bellwether ended with {self.process.returncode}"
            raise RuntimeError(msg)

    def end(self, number: int | None = None) -> int:
        """End its input, behind a signal if one is given; gives the exit code."""
        if number is not None:
            self.process.send_signal(number)
            self.process.wait()
        self._ended.set()
        self._feeder.join()
        return self.process.wait()

    def _feed(self, lines: int, ready: memoryview, chunks: Iterator[memoryview]) -> None:
        try:
            for chunk in chain((ready,), chunks):
                at = 0
                while at < len(chunk) and not self._ended.is_set():
                    at += os.write(self._pipe, chunk[at : at + (1 << 20)])
                if self._ended.is_set():
                    break
                self.events += lines
        except BrokenPipeError:
            pass
        finally:
            os.close(self._pipe)


def _memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def _look(began: float, pid: int, data: Path) -> Sample:
    store = sum(each.stat().st_size for each in data.glob("bellwether.duckdb*") if each.is_file())
    took = []
    for asked in _QUERIES.values():
        start = time.perf_counter()
        query(str(data), asked)
        took.append(time.perf_counter() - start)
    return Sample(time.perf_counter() - began, _memory(pid), store, tuple(took))


def _report(samples: list[Sample], events: int) -> None:
    print(f"\n{events:,} events in {samples[-1].after_s:,.0f} s")
    end = samples[-1].after_s
    rows = {"memory, MB": [], "store, MB": [], **{name: [] for name in _QUERIES}}
    for quarter in range(4):
        some = [s for s in samples if quarter <= s.after_s / end * 4 < quarter + 1] or samples[-1:]
        rows["memory, MB"].append(max(s.memory for s in some) / 1e6)
        rows["store, MB"].append(max(s.store for s in some) / 1e6)
        for nth, name in enumerate(_QUERIES):
            rows[name].append(median(s.queries[nth] for s in some) * 1e3)
    heads = "".join(f"{f'quarter {quarter}':>12}" for quarter in (1, 2, 3, 4))
    print(f"{'greatest, and median ms':32}{heads}")
    for name, values in rows.items():
        told = "".join(f"{value:>12,.0f}" for value in values)
        print(f"{name:32}{told}   last / second: {values[3] / max(values[1], 1e-9):.2f}")


def _main() -> None:
    parser = argparse.ArgumentParser(description="See whether anything grows at full speed.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--kept", type=int, default=120, help="seconds of events that are kept")
    parser.add_argument("--rate", type=int, default=200_000, help="events a second of event time")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-endurance-") as name:
        data = Path(name, "data")
        config = Path(name, "config.yaml")
        config.write_text(_CONFIG.format(data=data, kept_s=given.kept))
        run = Fed(config, Stream(given.rate, given.seed))
        samples: list[Sample] = []
        while time.perf_counter() - run.began_s < given.seconds:
            time.sleep(given.every)
            run.check()
            samples.append(_look(run.began_s, run.process.pid, data))
            last = samples[-1]
            print(
                f"  {last.after_s:7.0f} s {run.events:>14,} events {last.memory / 1e6:8,.0f} MB"
                f" {last.store / 1e6:9,.0f} MB "
                + "".join(f"{took * 1e3:8.0f} ms" for took in last.queries),
                flush=True,
            )
        if code := run.end():
            sys.exit(f"bellwether ended with {code}")
        _report(samples, run.events)


if __name__ == "__main__":
    _main()
