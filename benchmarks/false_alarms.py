"""How often dynamic drift thresholds fire on stable streams, and how soon they see a shift.

`python -m benchmarks.false_alarms [folder of the shared data]`, some three minutes on one core.
Every stream is cut into windows of a fixed size and evaluated ten times a lookback; after an alert
the next one is a lookback away at least. Each figure is a mean over several references of 10,000
events, each followed by a fresh stretch of the same stream.
"""

import gzip
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
from scipy.signal import lfilter

from engine.drift import psi
from engine.drift_bins import Bins, bin_numbers, bin_texts, category_bins, number_bins
from engine.drift_thresholds import Calibration

__all__ = ["alerts", "main", "windows"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Stream = Callable[[np.random.Generator, int, float], Numbers]

_DAY = 86_400
_REFERENCE = 10_000
_SHIFT = 1.0  # standard deviations


def normal(draws: np.random.Generator, rows: int, _: float) -> Numbers:
    return draws.normal(size=rows)


def autoregressive(phi: float) -> Stream:
    def stream(draws: np.random.Generator, rows: int, _: float) -> Numbers:
        lead = int(10 / (1 - phi))
        noise = draws.normal(scale=np.sqrt(1 - phi * phi), size=rows + lead)
        return np.asarray(lfilter([1.0], [1.0, -phi], noise))[lead:]

    return stream


def seasonal(draws: np.random.Generator, rows: int, gap_s: float) -> Numbers:
    """A daily wave with as much variance as the noise on it."""
    phase = 2 * np.pi * np.arange(rows) * gap_s / _DAY
    return np.sin(phase) + draws.normal(scale=np.sqrt(0.5), size=rows)


def skewed(draws: np.random.Generator, rows: int, _: float) -> Numbers:
    """Zipf's categories: the rarest of 40 is one in 170; half of what is above are 1 and 2."""
    weights = 1 / np.arange(1, 41)
    return draws.choice(40, rows, p=weights / weights.sum()).astype(np.float64)


def zeros(draws: np.random.Generator, rows: int, _: float) -> Numbers:
    """An atom: four values of five are 0."""
    return np.where(draws.random(rows) < 0.8, 0.0, draws.exponential(size=rows))


STREAMS: dict[str, Stream] = {
    "normal": normal,
    "40 categories": skewed,
    "80 % zeros": zeros,
    "AR(1) 0.5": autoregressive(0.5),
    "AR(1) 0.9": autoregressive(0.9),
    "AR(1) 0.99": autoregressive(0.99),
    "daily season": seasonal,
}

# Seconds between events, seconds of lookback, references, days after each.
CASES = (
    (1.0, 300, 10, 10),
    (1.0, 3_600, 10, 10),
    (10.0, 300, 10, 60),
    (60.0, 300, 10, 120),
    (60.0, _DAY, 30, 240),
    (60.0, 7 * _DAY, 30, 240),
    (1_800.0, 3_600, 20, 600),
    (1_800.0, _DAY, 30, 900),
    (1_800.0, 7 * _DAY, 60, 900),
)


def binned(name: str, reference: Numbers, values: Numbers) -> tuple[Bins, Codes, Codes]:
    """Give the bins of a reference, and its and the stream's codes."""
    if name == "40 categories":
        texts = np.array([f"c{i}" for i in range(40)])
        bins = category_bins(name, texts[reference.astype(int)].tolist(), limit=30)
        codes = bin_texts(bins, texts.tolist())
        return bins, codes[reference.astype(int)], codes[values.astype(int) % 40]
    bins = number_bins(name, reference)
    return bins, bin_numbers(bins, reference), bin_numbers(bins, values)


def windows(codes: Codes, bins: int, size: int, step: int) -> npt.NDArray[np.int64]:
    """Give the counts of all windows of `size` events that end on a step; size is ten steps."""
    steps = len(codes) // step
    cells = codes[: steps * step] + bins * np.repeat(np.arange(steps), step)
    sums = np.bincount(cells, minlength=steps * bins).reshape(steps, bins).cumsum(axis=0)
    before = np.vstack([np.zeros((1, bins), np.int64), sums])
    many = size // step
    return before[many:] - before[:-many]


def alerts(above: npt.NDArray[np.bool_], wait: int) -> int:
    """Count alerts, each at least `wait` evaluations after the one before."""
    count, last = 0, -wait
    for place in np.flatnonzero(above).tolist():
        if place - last >= wait:
            count, last = count + 1, place
    return count


@dataclass
class Tally:
    """What the runs of one case add up to."""

    alerts: int = 0
    days: float = 0.0
    worst: float = 0.0
    seen: int = 0
    tried: int = 0
    delay: float = 0.0

    def line(self) -> str:
        rate = self.alerts / self.days * 30
        seen = f"{self.seen}/{self.tried}"
        delay = f"{self.delay / self.seen:5.2f} lookbacks" if self.seen else "-"
        return f"{rate:8.3f} {self.worst:8.2f} {seen:>7} {delay}"


def run(name: str, gap_s: float, lookback_s: int, references: int, days: int) -> Tally:
    """Simulate one stream at one rate and one lookback."""
    size = max(1, int(lookback_s / gap_s))
    step = max(1, size // 10)
    size = step * max(1, size // step)
    tally = Tally()
    for seed in range(references):
        draws = np.random.default_rng([seed, len(name), lookback_s])
        rows = int(days * _DAY / gap_s)
        values = STREAMS[name](draws, _REFERENCE + rows + 3 * size, gap_s)
        shifted = values[-3 * size :] + (_SHIFT * values.std() if len(set(values[:99])) > 50 else 7)
        stable = values[_REFERENCE:-size]
        bins, reference, codes = binned(name, values[:_REFERENCE], stable[: rows + size])
        line = Calibration.of(bins, reference, "PSI", f"{name}/{seed}")
        bound = line.threshold(size, lookback_s, lookback_s / 10)
        found = alerts(
            psi(bins.reference, windows(codes, len(bins), size, step)) > bound, size // step
        )
        tally.alerts += found
        tally.days += days
        tally.worst = max(tally.worst, found / days * 30)
        _, _, moved = binned(name, values[:_REFERENCE], shifted)
        both = np.concatenate([codes[-size:], moved])
        hits = psi(bins.reference, windows(both, len(bins), size, step)) > bound
        tally.tried += 1
        if hits[1 : 1 + 3 * size // step].any():
            tally.seen += 1
            tally.delay += int(np.argmax(hits[1:]) + 1) * step / size
    return tally


def simulated() -> None:
    print(
        "Alerts per feature and 30 days on stable streams (worst: of one reference), and how many"
    )
    print("shifts by one standard deviation (categories: by 7 places) are seen in 3 lookbacks.")
    print(f"{'stream':<14}{'gap s':>8}{'lookback':>10}{'mean':>9}{'worst':>9}{'seen':>8} delay")
    for name in STREAMS:
        for gap_s, lookback_s, references, days in CASES:
            if name == "daily season" and gap_s < 60:
                continue  # 10,000 events are less than a day: nothing to learn a season from
            tally = run(name, gap_s, lookback_s, references, days)
            print(f"{name:<14}{gap_s:>8.0f}{lookback_s:>10}", tally.line(), flush=True)


def predictions(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Give time and features of each prediction; what the file repeats counts once."""
    seen: set[str] = set()
    with gzip.open(path) as lines:
        for text in lines:
            event = orjson.loads(text)
            if event["type"] == "prediction" and event["id"] not in seen:
                seen.add(event["id"])
                yield event["timestamp"] // 1000, event["features"]


def electricity(path: Path) -> None:
    """First 10,000 predictions as reference, lookback 7 days; as it is, and shuffled over time."""
    rows = list(predictions(path))
    times = np.array([time for time, _ in rows])
    table = {name: np.array([row[name] for _, row in rows]) for name in rows[0][1]}
    order = np.random.default_rng(7).permutation(len(rows))
    for told, places in (("as it is", np.arange(len(rows))), ("shuffled", order)):
        print(f"\nelectricity {told}: alerts per 30 days, first alert in days after event 17,425")
        for name, column in table.items():
            fired, days, before = replay(name, times, column[places])
            first = [time for time in fired if time >= times[17_425]]
            delay = f"{(first[0] - times[17_425]) / _DAY:6.2f}" if first else "never"
            print(f"{name:<12}{len(fired) / days * 30:8.3f}{before:5} before{delay:>8}")


def replay(
    name: str, times: npt.NDArray[np.int64], values: Numbers
) -> tuple[list[int], float, int]:
    """Give when alerts fired, the days watched, and how many fired before event 17,425."""
    lookback = 7 * _DAY
    step = 60_480
    bins = number_bins(name, values[:_REFERENCE])
    codes = bin_numbers(bins, values)
    line = Calibration.of(bins, codes[:_REFERENCE], "PSI", f"electricity/{name}/1")
    begin = times[_REFERENCE] + lookback
    fired: list[int] = []
    for end in range(int(-(-begin // step) * step), int(times[-1]) + step, step):
        low, high = np.searchsorted(times, [end - lookback, end])
        counts = np.bincount(codes[low:high], minlength=len(bins))[None]
        bound = line.threshold(int(high - low), lookback, step)
        if psi(bins.reference, counts)[0] > bound and (not fired or end - fired[-1] >= lookback):
            fired.append(end)
    days = (times[-1] - begin) / _DAY
    return fired, float(days), sum(time < times[17_425] for time in fired)


def main(words: list[str]) -> None:
    folder = Path(words[0]) if words else Path("../shared/data")
    electricity(folder / "electricity-events.ndjson.gz")
    print()
    simulated()


if __name__ == "__main__":
    main(sys.argv[1:])
