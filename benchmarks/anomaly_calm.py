"""How often a series without anomalies scores high: at most 1 bucket in 10,000 above 75.

`python -m benchmarks.anomaly_calm [--seeds 10] [--days 90] [--span 900]`, a minute on one core. All
kinds of `benchmarks.anomaly_series`, unspoiled; the first two weeks do not count.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.anomaly_columns import Series, ln_p_of, normalized
from benchmarks.anomaly_series import KINDS
from benchmarks.anomaly_spoiled import clean
from engine.anomaly.scores.raw_score import probability, raw_score, significance

__all__ = ["above", "main"]

Numbers = npt.NDArray[np.float64]

LEVELS = (25.0, 50.0, 75.0)
_WARM_DAYS = 14


def above(series: Series, ln_p: Numbers) -> tuple[int, ...]:
    """Count the buckets after the warm-up whose initial score is above each of the levels."""
    begin = _WARM_DAYS * 86_400 // series.span_s
    scores = significance(raw_score(probability(ln_p)))
    if scores.max() > LEVELS[0]:  # the ceiling of the probability; the others only lower it
        scores = normalized(series, ln_p)
    return tuple(int((scores[begin:] > level).sum()) for level in LEVELS)


def main(words: Sequence[str] | None = None) -> None:
    """Print the rates of each kind, and of all."""
    parser = argparse.ArgumentParser(description="Count high scores where nothing is wrong.")
    parser.add_argument("--seeds", type=int, default=10, help="series of each kind")
    parser.add_argument("--days", type=float, default=90)
    parser.add_argument("--span", type=int, default=900, help="seconds")
    given = parser.parse_args(words)
    pairs = [(kind, seed) for kind in KINDS for seed in range(given.seeds)]
    all_of = [clean(*pair, given.days, given.span) for pair in pairs]
    counts = np.array([above(*each) for each in zip(all_of, ln_p_of(all_of), strict=True)])
    buckets = len(all_of[0].values) - _WARM_DAYS * 86_400 // given.span
    print(f"{len(all_of)} series, {buckets:,} buckets each after two weeks")
    print(f"{'buckets in 10,000 above':<24}" + "".join(f"{level:>8.0f}" for level in LEVELS))
    rates = counts / buckets * 1e4
    for place, kind in enumerate(KINDS):
        own = rates[place * given.seeds : (place + 1) * given.seeds].mean(axis=0)
        print(f"{kind:<24}" + "".join(f"{rate:>8.2f}" for rate in own))
    print(f"{'all':<24}" + "".join(f"{rate:>8.2f}" for rate in rates.mean(axis=0)))
    print("wanted: at most 1.00 above 75")


if __name__ == "__main__":
    main()
