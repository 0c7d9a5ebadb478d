"""Functions of several classes: AR-F19 to AR-F23, macro means, and accuracy.

With a ``class`` it is that class against all others, else the mean over the classes of the window
for which the rate is defined. Rows count whose label and prediction are classes.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from engine.performance import (
    accuracy_rate,
    f1,
    false_negative_rate,
    false_positive_rate,
    precision,
    recall,
    specificity,
)
from engine.query.exact import exact_means, exact_sums
from engine.query.expressions import Scope
from engine.query.plan import Amounts, Component, Multiset
from engine.query.plans_common import Builder, Counts, Draft, Values, both_classes, count
from engine.query.tree import Call

__all__ = ["CLASSES"]

Rate = Callable[[Counts, Counts, Counts, Counts], Values]

_RATES: Mapping[str, Rate] = {
    "truePositiveRateMulticlass": lambda tp, _fp, _tn, fn: recall(tp, fn),
    "trueNegativeRateMulticlass": lambda _tp, fp, tn, _fn: specificity(tn, fp),
    "falsePositiveRateMulticlass": lambda _tp, fp, tn, _fn: false_positive_rate(tn, fp),
    "falseNegativeRateMulticlass": lambda tp, _fp, _tn, fn: false_negative_rate(tp, fn),
    "precisionMulticlass": lambda tp, fp, _tn, _fn: precision(tp, fp),
    "f1Multiclass": lambda tp, fp, _tn, fn: f1(tp, fp, fn),
    "macroOvrAccuracy": accuracy_rate,
}


def _accuracy(_call: Call, scope: Scope) -> Draft:
    same = f"{scope.read('label', 'text')} = {scope.read('prediction', 'text')}"
    has = both_classes(scope)

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        n, hits = amounts.counts["n"], amounts.counts["hits"]
        return np.divide(hits, n, out=np.full(len(n), np.nan), where=n != 0), n

    return Draft((count("n", has), count("hits", f"{has} AND {same}")), of)


def _per_class(call: Call, scope: Scope) -> Draft:
    if call.parameters.get("class") is None:
        return _macro(call, scope)
    rate, has = _RATES[call.function], both_classes(scope)
    wanted = scope.bind(str(call.parameters["class"]))
    label, guess = (f"{scope.read(name, 'text')} = {wanted}" for name in ("label", "prediction"))

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        n, actual, predicted, hits = (
            amounts.counts[name] for name in ("n", "actual", "predicted", "hits")
        )
        values = _rate_of(rate, n, actual, predicted, hits)
        return np.where(actual + predicted > 0, values, np.nan), n

    return Draft(
        (
            count("n", has),
            count("actual", f"{has} AND {label}"),
            count("predicted", f"{has} AND {guess}"),
            count("hits", f"{has} AND {label} AND {guess}"),
        ),
        of,
    )


def _rate_of(rate: Rate, n: Counts, actual: Counts, predicted: Counts, hits: Counts) -> Values:
    return rate(hits, predicted - hits, n - actual - predicted + hits, actual - hits)


# chr(31) parts label and prediction; one within a class is written as chr(30) and a figure.
def _escaped(text: str) -> str:
    return f"replace(replace({text}, chr(30), chr(30) || '0'), chr(31), chr(30) || '1')"


def _macro(call: Call, scope: Scope) -> Draft:
    rate = _RATES[call.function]
    pair = " || chr(31) || ".join(
        _escaped(scope.read(name, "text")) for name in ("label", "prediction")
    )

    def of(cells: Multiset, _pane_s: int) -> tuple[float | None, int]:
        n, actual, predicted, hits = _margins(cells)
        rates = _rate_of(rate, n, actual, predicted, hits)
        defined = rates[~np.isnan(rates)]
        if not len(defined):
            return None, int(cells.weights.sum())
        sums = exact_sums(defined, np.zeros(len(defined), np.int64), 1)
        mean = exact_means(sums, np.array([len(defined)], np.int64))
        return float(mean[0]), int(cells.weights.sum())

    sql = f"CASE WHEN {both_classes(scope)} THEN {pair} END"
    return Draft((Component("cell", "texts", sql),), of_multiset=of)


def _margins(cells: Multiset) -> tuple[Counts, Counts, Counts, Counts]:
    """Count all rows, and per class of the window those labelled, predicted, and both."""
    distinct, place = np.unique(cells.entries.astype(str), return_inverse=True)
    counts = np.zeros(len(distinct), np.int64)
    np.add.at(counts, place, cells.weights)
    pairs = [cell.split("\x1f") for cell in distinct.tolist()]
    number = {name: i for i, name in enumerate(sorted({name for pair in pairs for name in pair}))}
    ends = np.array([[number[a], number[b]] for a, b in pairs], np.int64).reshape(-1, 2)
    actual, predicted, hits = (np.zeros(len(number), np.int64) for _ in range(3))
    np.add.at(actual, ends[:, 0], counts)
    np.add.at(predicted, ends[:, 1], counts)
    same: npt.NDArray[np.bool_] = ends[:, 0] == ends[:, 1]
    np.add.at(hits, ends[same, 0], counts[same])
    return np.full(len(number), counts.sum()), actual, predicted, hits


CLASSES: Mapping[str, Builder] = {
    "accuracy": _accuracy,
    "accuracyRateMulticlass": _accuracy,
    **dict.fromkeys(_RATES, _per_class),
}
"""Builders by function."""
