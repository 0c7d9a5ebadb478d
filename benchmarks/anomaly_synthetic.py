"""Area under precision and recall on series with known anomalies, against other detectors.

`python -m benchmarks.anomaly_synthetic [--seeds 1] [--days 28]`, half a minute on one core.
Every kind of `benchmarks.anomaly_series` is spoiled in every way that fits it
(`benchmarks.anomaly_spoiled`), three times after a warm-up of ten days; quarter-hour buckets. All
series are pooled and one threshold holds for all. A bucket at or above it is an alert. An anomaly
is found if an alert is within its window; recall is the share found. Precision is the share of
alerts that are within a window; of the alerts within one window only the first counts, so that
nobody earns by alerting all along. Ours is ranked by the probability that its results carry, and
once more by their score, which is 100 from p = 1e-4 on. Buckets of the warm-up do not count.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.anomaly_baselines import BASELINES
from benchmarks.anomaly_columns import ln_p_of, normalized
from benchmarks.anomaly_spoiled import ANOMALIES, Spoiled, fitting, rare_values, spoiled

__all__ = ["Pool", "area", "main", "pooled", "series_of", "theirs"]

Numbers = npt.NDArray[np.float64]

SPAN_S, WARM_DAYS = 900, 10.0
_VOCABULARIES = ("closed", "daily", "open")


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What a detector said of many series, from the end of the warm-up on.

    Attributes
    ----------
    inside : float64, shape (anomalies,)
        The greatest score within each window.
    outside : float64, shape (buckets,)
        The scores of all buckets in no window.
    """

    inside: Numbers
    outside: Numbers


def pooled(all_of: Sequence[Spoiled], scores: Sequence[Numbers]) -> Pool:
    """Gather the scores of many series."""
    inside, outside = [], []
    for one, found in zip(all_of, scores, strict=True):
        begin = int(WARM_DAYS * 86_400) // one.series.span_s
        free = np.arange(len(found)) >= begin
        for first, last in one.windows:
            inside.append(float(found[first : last + 1].max()))
            free[first : last + 1] = False
        outside.append(found[free])
    return Pool(np.array(inside), np.concatenate(outside))


def area(pool: Pool) -> float:
    """Give the area under precision over recall (average precision: steps, no interpolation)."""
    levels = np.unique(pool.inside[pool.inside > 0.0])[::-1]
    found = np.searchsorted(np.sort(-pool.inside), -levels, "right")
    false = np.searchsorted(np.sort(-pool.outside), -levels, "right")
    recall = np.concatenate([[0.0], found / pool.inside.size])
    return float(np.sum(np.diff(recall) * found / (found + false)))


def series_of(seeds: int, days: float) -> list[Spoiled]:
    """Spoil all kinds in all ways."""
    cut = {"days": days, "span_s": SPAN_S, "warm_days": WARM_DAYS}
    some = [spoiled(*pair, seed, **cut) for seed in range(seeds) for pair in fitting()]
    return some + [
        rare_values(name, seed, **cut) for seed in range(seeds) for name in _VOCABULARIES
    ]


def theirs(baseline: Callable[[Numbers, int], Numbers], all_of: Sequence[Spoiled]) -> list[Numbers]:
    return [baseline(one.series.values, 86_400 // one.series.span_s) for one in all_of]


def _print_parts(all_of: Sequence[Spoiled], scores: Sequence[Numbers]) -> None:
    """Print the area for each anomaly and each kind alone."""
    for title, name in (("anomaly", _anomaly), ("kind", _kind)):
        print(f"\narea by {title}")
        for group in dict.fromkeys(map(name, all_of)):
            at = [place for place, one in enumerate(all_of) if name(one) == group]
            pool = pooled([all_of[place] for place in at], [scores[place] for place in at])
            print(f"  {group:<20}{area(pool):6.3f}{len(at):5} series")


def _anomaly(one: Spoiled) -> str:
    return one.anomaly


def _kind(one: Spoiled) -> str:
    return one.series.name


def _print_levels(pool: Pool, series: int, days: float) -> None:
    print(f"\n{'score':>6}{'recall':>8}{'precision':>11}{'false alerts a series and month':>34}")
    for level in (25, 50, 75):
        found, false = int((pool.inside >= level).sum()), int((pool.outside >= level).sum())
        month = false / series / (days - WARM_DAYS) * 30
        precision = found / max(found + false, 1)
        print(f"{level:>6}{found / pool.inside.size:>8.2f}{precision:>11.2f}{month:>34.2f}")


def main(words: Sequence[str] | None = None) -> None:
    """Print the areas of all detectors, and where ours finds what."""
    parser = argparse.ArgumentParser(description="Compare detectors on series with anomalies.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--days", type=float, default=28)
    given = parser.parse_args(words)
    all_of = series_of(given.seeds, given.days)
    anomalies = sum(len(one.windows) for one in all_of)
    print(f"{len(all_of)} series, {anomalies} anomalies of {len(ANOMALIES) + 1} types")
    began = time.perf_counter()
    ln_p = ln_p_of([one.series for one in all_of])
    own = area(_told("anomaly buckets", all_of, [-found for found in ln_p], began))
    scores = [normalized(one.series, found) for one, found in zip(all_of, ln_p, strict=True)]
    pool = _told("the same by score", all_of, scores, began)
    areas = []
    for name, baseline in BASELINES.items():
        began = time.perf_counter()
        areas.append(area(_told(name, all_of, theirs(baseline, all_of), began)))
    print(f"{'ratio to the best of the others':<34}{own / max(areas):7.2f} (wanted: 2.5)")
    _print_parts(all_of, [-found for found in ln_p])
    _print_levels(pool, len(all_of), given.days)


def _told(name: str, all_of: Sequence[Spoiled], scores: Sequence[Numbers], began: float) -> Pool:
    """Print a detector's area and time."""
    pool = pooled(all_of, scores)
    print(f"{name:<34}{area(pool):7.3f}{time.perf_counter() - began:8.1f} s", flush=True)
    return pool


if __name__ == "__main__":
    main()
