"""Bins and thresholds of one drift rule, from the reference set of its model."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid3

import duckdb
import numpy as np
import pyarrow as pa

from engine.drift_bins import Bins, bin_numbers, bin_texts, category_bins, number_bins
from engine.drift_thresholds import Calibration, neighbours
from engine.metrics import METRIC_NAMESPACE
from engine.query.tree import DriftQuery
from engine.rules.definition import Rule

__all__ = ["binning_of", "bins_of", "drift_of", "finite", "shown", "threshold_of"]


def bins_of(name: str, column: "pa.ChunkedArray[Any]", kind: str, size: int) -> Bins:
    """Give the bins of a property: `size` quantiles of a number, or its categories."""
    bins = (
        number_bins(name, column.to_numpy(zero_copy_only=False), size)
        if kind == "number"
        else category_bins(name, column)
    )
    if bins.reference[:-1].any():
        return bins
    # Nothing to compare with: drift is undefined, not infinite.
    return replace(bins, reference=np.zeros_like(bins.reference))


def drift_of(rule: Rule) -> DriftQuery:
    """Give the query of a drift rule."""
    tree = rule.metric.tree
    if not isinstance(tree, DriftQuery):
        msg = "only a drift query has bins"
        raise TypeError(msg)
    return tree


def binning_of(rule: Rule, size: int) -> str:
    """Give the id of a way of counting a property into bins."""
    tree = drift_of(rule)
    told = [rule.model_id, tree.properties[0].name, size]
    told += [repr(tree.base.filter), repr(tree.target.filter), tree.target.source]
    told += [rule.time_basis, rule.step_s]
    return str(uuid3(METRIC_NAMESPACE, "binning\0" + json.dumps(told)))


def finite(bound: float | None) -> float | None:
    """Give a bound as it is stored: NULL where a bin is open."""
    return None if bound is None or not np.isfinite(bound) else bound


def shown(name: str) -> str:
    """Give the public name of a property: a bare one has none of the places it is looked for in."""
    return name.removeprefix("?.")


def threshold_of(
    cursor: duckdb.DuckDBPyConnection,
    rule: Rule,
    version: int,
    bins: Bins,
    column: "Callable[[], pa.ChunkedArray[Any]]",
) -> Callable[[int], float]:
    """Give the dynamic threshold of a rule by the samples of a window.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Thresholds are stored as they are computed, once for each size.
    rule : Rule
    version : int
        Of the reference set.
    bins : Bins
    column : callable
        Reads the property's reference values, in order of time.
    """
    measure = drift_of(rule).metric
    identity = str(rule.metric.metric_id)
    rows = cursor.execute(
        "SELECT sample_low, threshold FROM drift_thresholds WHERE metric_id = ?"
        " AND version = ? AND lookback_s = ?",
        [identity, version, rule.lookback_s],
    ).fetchall()
    known: dict[int, float] = {neighbours(low)[0]: passed for low, passed in rows}
    made: list[Calibration] = []

    def threshold(samples: int) -> float:
        if samples <= 0:
            return float("inf")
        low, high = neighbours(samples)
        if low not in known:
            if not made:
                values = column()
                codes = (
                    bin_numbers(bins, values.to_numpy(zero_copy_only=False))
                    if bins.kind == "number"
                    else bin_texts(bins, values)
                )
                seed = f"{rule.model_id}\0{bins.property}\0{version}"
                made.append(Calibration.of(bins, codes, measure, seed))
            known[low] = made[0].threshold(samples, rule.lookback_s, rule.step_s)
            # The sizes that share it: from the power of √2 up to the next one.
            least = low if neighbours(low)[0] == low else low + 1
            sizes = [least, max(least, high - 1)]
            cursor.execute(
                "INSERT INTO drift_thresholds VALUES (?, ?, ?, ?, ?, ?)",
                [identity, version, rule.lookback_s, *sizes, known[low]],
            )
        return known[low]

    return threshold
