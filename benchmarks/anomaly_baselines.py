"""Detectors to compare with: three of river's, a rolling z-score, a day-difference z-score.

Each takes the values of a series, NaN where a bucket is empty, and gives a score to each, higher
where it is odder, 0 in an empty bucket; all are causal. None has a threshold of its own: they are
compared over all thresholds.
"""

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from river import anomaly, preprocessing, time_series

__all__ = ["BASELINES", "Baseline"]

Numbers = npt.NDArray[np.float64]

#: Scores a series' values; the second argument is the number of buckets of a day.
Baseline = Callable[[Numbers, int], Numbers]


def rolling(values: Numbers, day: int) -> Numbers:
    """Give |z| by mean and deviation of the day before."""
    return _standing(values, values, day)


def day_difference(values: Numbers, day: int) -> Numbers:
    """Give |z| of the difference to the day before, by the deviation of a week's differences."""
    difference = np.full(values.shape, np.nan)
    difference[day:] = values[day:] - values[:-day]
    return _standing(difference, difference, 7 * day)


def _standing(values: Numbers, before: Numbers, size: int) -> Numbers:
    """Give |z| of each value by the `size` ones before it."""
    known = ~np.isnan(before)
    # About the median, which takes the rounding of large levels out of the sums.
    kept = np.where(known, before - np.nanmedian(before), 0.0)
    count, total, square = (
        _sums(column, size) for column in (known.astype(np.float64), kept, kept * kept)
    )
    mean = total / np.maximum(count, 1.0)
    deviation = np.sqrt(np.maximum(square / np.maximum(count, 1.0) - mean * mean, 0.0))
    floor = 1e-9 + 1e-3 * float(np.nanstd(values[: 2 * size]))
    score = np.abs(values - np.nanmedian(before) - mean) / np.maximum(deviation, floor)
    return np.where((count > size / 4) & ~np.isnan(values), score, 0.0)


def _sums(column: Numbers, size: int) -> Numbers:
    """Sum the `size` values before each."""
    total = np.concatenate([[0.0], np.cumsum(column)])
    places = np.arange(len(column))
    return np.asarray(total[places] - total[np.maximum(places - size, 0)])


def half_space_trees(values: Numbers, day: int) -> Numbers:
    """Score by river's HalfSpaceTrees, on running z-scores of up to six either way.

    It wants values within 0 and 1. By their range so far (MinMaxScaler) one spike would press all
    later values into a corner, and it does worse.
    """
    scale = preprocessing.StandardScaler()
    model = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=2 * day, seed=7)

    def score(value: float) -> float:
        z = scale.transform_one({"x": value})["x"]
        scale.learn_one({"x": value})
        within = {"x": min(max(0.5 + z / 12.0, 0.0), 1.0)}
        found = model.score_one(within)
        model.learn_one(within)
        return found

    return _one_by_one(values, score)


def gaussian(values: Numbers, day: int) -> Numbers:
    """Score by river's GaussianScorer over two days, both tails."""
    model = anomaly.GaussianScorer(window_size=2 * day, grace_period=day // 2)

    def score(value: float) -> float:
        try:
            found = model.score_one(None, value)
        except TypeError:  # river 0.26: a negative variance by rounding makes it complex
            found = 0.0
        model.learn_one(None, value)
        return found

    return _one_by_one(values, score)


def predictive(values: Numbers, day: int) -> Numbers:
    """Score by river's PredictiveAnomalyDetection of Holt-Winters forecasts with a daily season."""
    model = anomaly.PredictiveAnomalyDetection(
        time_series.HoltWinters(alpha=0.1, beta=0.01, gamma=0.3, seasonality=day),
        horizon=1,
        n_std=6.0,
        warmup_period=2 * day,
    )
    return _one_by_one(values, lambda value: _predictive(model, value))


def _predictive(model: Any, value: float) -> float:
    found = model.score_one(None, value) if model.iter >= model.warmup_period else 0.0
    model.learn_one(None, value)
    return float(found)


def _one_by_one(values: Numbers, score: Callable[[float], Any]) -> Numbers:
    found = [0.0 if math.isnan(value) else float(score(value)) for value in values.tolist()]
    return np.nan_to_num(np.array(found))


BASELINES: Final = MappingProxyType(
    {
        "day-difference z": day_difference,
        "rolling z": rolling,
        "river GaussianScorer": gaussian,
        "river HalfSpaceTrees": half_space_trees,
        "river PredictiveAnomalyDetection": predictive,
    }
)
