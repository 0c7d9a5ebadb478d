"""What a bucket of many series costs: time to judge, learn and score it, and bytes a series.

`python -m benchmarks.anomaly_cost [--series 10000] [--warm 850] [--runs 3]`, about a minute on one
core. The series have three days of five minutes behind them (the most slots a day), so that their
memories are full; a tenth of them are counts. (With `--warm 330` all have just found their season
and begin their memories anew at once: the dearest moment.) The models of river that
`benchmarks.anomaly_baselines` has, which take one value of one series at a time, are timed on one
series for scale.
"""

import argparse
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
import numpy.typing as npt

from benchmarks.anomaly_baselines import BASELINES, Baseline
from engine.anomaly.bank.bank import Bank
from engine.anomaly.scores.normalizer import STANDARD, History
from engine.anomaly.scores.raw_score import probability, raw_score

__all__ = ["Level", "filled", "main", "timed"]

Numbers = npt.NDArray[np.float64]

_SPAN_S, _TIMED = 300, 60


class Level:
    """A bank of series and the history of their scores; `bucket` advances both."""

    def __init__(self, series: int) -> None:
        self.bank = Bank(_SPAN_S)
        self.bank.add(series - series // 10, counts=False, side=0)
        self.bank.add(series // 10, counts=True, side=0)
        self.history = History()
        self.scopes = np.arange(series)

    def bucket(self, number: int, values: Numbers) -> Numbers:
        """Judge, learn and score one bucket."""
        found = self.bank.evaluate(number * _SPAN_S, values)
        self.bank.learn(found)
        raw = raw_score(probability(found.ln_p))
        self.history, _ = STANDARD.update(self.history, number * _SPAN_S, _SPAN_S, raw, self.scopes)
        return STANDARD.score(self.history, raw, self.scopes)[0]


def _values(draws: np.random.Generator, number: int, series: int) -> Numbers:
    wave = 10 + 3 * np.sin(2 * np.pi * number * _SPAN_S / 86_400)
    return np.asarray(draws.poisson(wave, series).astype(np.float64))


def filled(series: int, warm: int) -> tuple[Level, np.random.Generator]:
    """Make a level that has seen so many buckets."""
    draws = np.random.default_rng(series)
    level = Level(series)
    for number in range(warm):
        level.bucket(number, _values(draws, number, series))
    return level, draws


def timed(level: Level, draws: np.random.Generator, warm: int) -> list[float]:
    """Give the seconds that each of the next buckets takes."""
    series, took = level.bank.size, []
    for number in range(warm, warm + _TIMED):
        values = _values(draws, number, series)
        began = time.perf_counter()
        level.bucket(number, values)
        took.append(time.perf_counter() - began)
    return took


def theirs_s(baseline: Baseline, values: int = 2000) -> float:
    """Give the seconds that another detector takes for a value of one series."""
    column = np.random.default_rng(1).normal(size=values)
    began = time.perf_counter()
    baseline(column, 86_400 // _SPAN_S)
    return (time.perf_counter() - began) / values


def main(words: Sequence[str] | None = None) -> None:
    """Print medians over the buckets of several runs, and what was wanted."""
    parser = argparse.ArgumentParser(description="Time a bucket of many series.")
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--warm", type=int, default=850, help="buckets before")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args(words)
    found = {}
    for series, wanted in ((given.series, 15.0), (1, 0.5)):
        took: list[float] = []
        for _ in range(given.runs):
            level, draws = filled(series, given.warm)
            took += timed(level, draws, given.warm)
        found[series] = median(took) / series
        print(
            f"{series:>7,} series: {median(took) * 1e3:7.3f} ms a bucket (wanted: {wanted}), "
            f"slowest {max(took) * 1e3:.3f}, {level.bank.nbytes / series:,.0f} bytes a series "
            "(wanted: 9,000)"
        )
    ours = found[given.series]
    for name, baseline in BASELINES.items():
        if name.startswith("river"):
            theirs = theirs_s(baseline)
            print(
                f"{name:<32}{theirs * 1e6:8.2f} us a value, ours {ours * 1e6:.2f}: "
                f"{theirs / ours:.0f} times as much"
            )


if __name__ == "__main__":
    main()
