"""Aggregates of an ad-hoc query: the drafts of metrics, and the functions of several values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.performance import BINARY
from engine.query.answer_taken import Taken
from engine.query.compile import draft_of, has_truths
from engine.query.expressions import Scope, truths_among
from engine.query.parse_order import key_of
from engine.query.plan import Component, Multiset
from engine.query.plans_binary import binary_counts
from engine.query.plans_common import Draft
from engine.query.tree import Call

__all__ = ["MINUTE_S", "Item", "item_of"]

MINUTE_S = 60
"""Seconds a pane of the entries that an answer gathers."""

_RATES: Mapping[str, str] = {
    "accuracyRate": "accuracy_rate",
    "balancedAccuracyRate": "balanced_accuracy_rate",
    "f1": "f1",
    "falseNegativeRate": "false_negative_rate",
    "falsePositiveRate": "false_positive_rate",
    "precision": "precision",
    "recall": "recall",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "truePositiveRate": "true_positive_rate",
    "trueNegativeRate": "true_negative_rate",
}
_COUNTS = {
    "tp": "true_positive",
    "fp": "false_positive",
    "tn": "true_negative",
    "fn": "false_negative",
}

Finish = Callable[[Taken], list[object]]


@dataclass(frozen=True, slots=True)
class Item:
    """One aggregate of a select.

    Attributes
    ----------
    key : str
        Of the answer.
    prefix : str
        Begins the names of its columns.
    where : str
        SQL, BOOLEAN: the row has the truths that the function reads.
    finish : callable
        Makes the value of each group.
    """

    key: str
    prefix: str
    components: tuple[Component, ...]
    where: str
    finish: Finish


def item_of(call: Call, scope: Scope, prefix: str, *, own: bool) -> Item:
    """Draft one aggregate; `own`: the rows are the model's, and may lack truths."""
    components, finish = _drafted(call, scope)
    where = has_truths(truths_among(scope.properties), scope.columns) if own else "true"
    return Item(key_of(call), prefix, components, where, finish)


def _drafted(call: Call, scope: Scope) -> tuple[tuple[Component, ...], Finish]:
    if call.function == "confusionMatrix":
        return binary_counts(call, scope), _matrix
    if call.function == "confusionMatrixRate":
        return binary_counts(call, scope), _matrix_rates
    if call.function == "distribution":
        return _distribution(call, scope)
    draft = draft_of(call, scope)
    return draft.components, _finish_of(draft)


def _finish_of(draft: Draft) -> Finish:
    def of_sums(taken: Taken) -> list[object]:
        if draft.of_amounts is None:
            return []
        values, _ = draft.of_amounts(taken.amounts)
        if draft.is_count:
            return [int(value) for value in values]
        return [_defined(value) for value in values.tolist()]

    def of_entries(taken: Taken) -> list[object]:
        of = draft.of_multiset
        return [] if of is None else [of(entries, MINUTE_S)[0] for entries in taken.entries]

    return of_sums if draft.of_multiset is None else of_entries


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value


def _matrix(taken: Taken) -> list[object]:
    columns = [taken.amounts.counts[name].tolist() for name in _COUNTS]
    return [dict(zip(_COUNTS.values(), row, strict=True)) for row in zip(*columns, strict=True)]


def _matrix_rates(taken: Taken) -> list[object]:
    counts = [taken.amounts.counts[name] for name in _COUNTS]
    columns = [map(_defined, BINARY[name](*counts).tolist()) for name in _RATES]
    return [dict(zip(_RATES.values(), row, strict=True)) for row in zip(*columns, strict=True)]


def _distribution(call: Call, scope: Scope) -> tuple[tuple[Component, ...], Finish]:
    operand, bins = call.parameters["property"], call.parameters.get("num_bins", 10)
    if scope.kind(operand) == "text":
        texts = Component("x", "texts", scope.text(operand))
        return (texts,), lambda taken: [_categories(each) for each in taken.entries]
    number = bins if isinstance(bins, int) else 10
    values = Component("x", "values", scope.number(operand))
    return (values,), lambda taken: [_histogram(each, number) for each in taken.entries]


def _categories(entries: Multiset) -> list[dict[str, object]]:
    """Count categories, in text order."""
    pairs = sorted(zip(entries.entries.tolist(), entries.weights.tolist(), strict=True))
    return [{"category": text, "count": count} for text, count in pairs]


def _histogram(entries: Multiset, bins: int) -> list[dict[str, object]]:
    """Count the values in bins of equal width from the least to the greatest.

    A bin holds its lower edge, the last one its upper edge too; all values equal make one bin.
    """
    values = entries.entries
    if not len(values):
        return []
    low, high = float(values.min()), float(values.max())
    edges = np.array([low, high]) if low == high else _edges(low, high, bins)
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    counts = np.zeros(len(edges) - 1, np.int64)
    np.add.at(counts, places, entries.weights)
    return [
        {"lower": lower, "upper": upper, "count": count}
        for lower, upper, count in zip(
            edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True
        )
    ]


def _edges(low: float, high: float, bins: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    shares = np.arange(bins + 1) / bins
    edges = low * (1 - shares) + high * shares  # high - low may be beyond a double
    edges[0], edges[-1] = low, high
    return edges
