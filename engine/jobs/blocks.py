"""The block of metrics of a confusion matrix, over all decisions and class by class.

Undefined (0/0) is None; means are over the decisions for which they are defined. `overall_accuracy`
is the mean of one-vs-rest accuracy, also told as `macro_ovr_accuracy`; `accuracy` is the share on
the diagonal. Formulas: `engine.performance`.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine import performance as per
from engine.known import ANOTHER, OTHER

__all__ = [
    "AXES",
    "Block",
    "DecisionMetrics",
    "block_of",
    "blocks_of",
    "choose_labels",
    "of_matrix",
]

AXES = {"rows": "truth", "cols": "prediction"}

Pairs = Mapping[tuple[str, str], int]
"""Counts by (truth, prediction)."""


@dataclass(frozen=True, slots=True)
class DecisionMetrics:
    """One decision against all others."""

    precision: float | None
    recall: float | None
    f1_score: float | None
    true_positives: int
    true_negatives: int
    false_positives: int
    false_negatives: int


@dataclass(frozen=True, slots=True)
class Block:
    """A confusion matrix and what follows from it.

    Attributes
    ----------
    labels : tuple of str
        The decisions, in the order of rows and columns.
    confusion_matrix : tuple of tuple of int, shape (K, K)
        Rows truth, columns prediction.
    overall_accuracy, overall_f1_score, overall_recall, overall_precision : float or None
        Unweighted means over the decisions.
    accuracy : float or None
        Trace / N.
    metrics_per_decision : tuple of DecisionMetrics, shape (K,)
    time_saved_minutes : float or None
        Minutes of an event times correct decisions; None where no model has minutes.
    """

    labels: tuple[str, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    overall_accuracy: float | None
    overall_f1_score: float | None
    overall_recall: float | None
    overall_precision: float | None
    accuracy: float | None
    metrics_per_decision: tuple[DecisionMetrics, ...]
    time_saved_minutes: float | None

    @property
    def macro_ovr_accuracy(self) -> float | None:
        """`overall_accuracy` by a name that tells it from `accuracy`."""
        return self.overall_accuracy

    @property
    def total(self) -> int:
        """Events in the matrix."""
        return sum(map(sum, self.confusion_matrix))


def choose_labels(pairs: Pairs, declared: Sequence[str], limit: int) -> tuple[str, ...]:
    """Give the decisions of a matrix: declared ones in their order, then the others by name.

    Of more than `limit` the declared stay, and those that come most often, by count as truth or
    prediction and then by name; all others are `OTHER`. Where two different ones of these were
    taken for each other, `ANOTHER` comes last, so that such a mistake is no hit.
    """
    counts: dict[str, int] = {}
    for pair, count in pairs.items():
        for name in set(pair):
            counts[name] = counts.get(name, 0) + count
    first = list(dict.fromkeys(declared))
    others = sorted(set(counts) - set(first))
    if len(first) + len(others) <= limit:
        return (*first, *others)
    kept = sorted(others, key=lambda name: (-counts[name], name))[: max(limit - len(first), 0)]
    labels = (*first, *sorted(set(kept) - {OTHER}), *(() if OTHER in first else (OTHER,)))
    mistaken = any(ANOTHER in _shown(pair, labels) for pair in pairs)
    return (*labels, ANOTHER) if mistaken and ANOTHER not in labels else labels


def blocks_of(
    pairs: Pairs,
    labelled: Pairs,
    declared: Sequence[str],
    limit: int,
    saved: tuple[float | None, float | None] = (None, None),
) -> tuple[Block, Block]:
    """Give the block over all events and the one over labelled events, with the same decisions."""
    labels = choose_labels(pairs, declared, limit)
    return block_of(labels, pairs, saved[0]), block_of(labels, labelled, saved[1])


def block_of(labels: tuple[str, ...], pairs: Pairs, saved: float | None = None) -> Block:
    """Give the block of counts; what is none of the labels counts as `choose_labels` says.

    >>> block_of(("a", "b"), {("a", "a"): 3, ("a", "b"): 1}).overall_recall
    0.75
    """
    place = {name: index for index, name in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    for pair, count in pairs.items():
        truth, prediction = _shown(pair, place)
        matrix[place[truth], place[prediction]] += count
    return of_matrix(labels, matrix, saved)


def _shown(pair: tuple[str, str], labels: Collection[str]) -> tuple[str, str]:
    """Give a pair by the names it has in a matrix; `engine.known` renames classes alike."""
    truth, prediction = (name if name in labels else OTHER for name in pair)
    if truth == prediction == OTHER and pair[0] != pair[1]:
        return OTHER, ANOTHER
    return truth, prediction


def of_matrix(labels: tuple[str, ...], matrix: npt.NDArray[np.int64], saved: float | None) -> Block:
    """Give the block of a confusion matrix, int64, shape (K, K)."""
    tp, fp, tn, fn = per.one_versus_rest(matrix)
    precision, recall = per.precision_by_class(matrix), per.recall_by_class(matrix)
    f1_score = per.f1_by_class(matrix)
    return Block(
        labels=labels,
        confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
        overall_accuracy=_defined(per.macro(per.accuracy_by_class(matrix))),
        overall_f1_score=_defined(per.macro(f1_score)),
        overall_recall=_defined(per.macro(recall)),
        overall_precision=_defined(per.macro(precision)),
        accuracy=_defined(per.accuracy(matrix)),
        metrics_per_decision=tuple(
            DecisionMetrics(own[0], own[1], own[2], *counts)
            for own, counts in zip(
                _rates(precision, recall, f1_score), _counts(tp, tn, fp, fn), strict=True
            )
        ),
        time_saved_minutes=saved,
    )


def _rates(*columns: npt.NDArray[np.float64]) -> Iterable[tuple[float | None, ...]]:
    return zip(*([_defined(x) for x in column.tolist()] for column in columns), strict=True)


def _counts(*columns: npt.NDArray[np.int64]) -> Iterable[tuple[int, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
