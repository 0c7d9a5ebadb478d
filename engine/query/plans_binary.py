"""Functions of the four counts of a positive class: AR-F08 to AR-F18.

Without parameters they are those of `metric_values` (`engine.metric_scores`). With a truth or a
predicted property:

- A row counts when it has both.
- The truth `label` is positive when it is the model's positive class; without one nothing counts.
  Any other truth is positive when it is 1, true, or a string of these.
- A predicted number is positive from the threshold on, the model's by default. The classes of
  `prediction` are compared with the positive class, unless they are fractions.
- A `threshold` alone compares the probability of the positive class: the property that the model
  declares, or `score`, less 1 where the other of two classes was predicted.
"""

from collections.abc import Mapping
from math import ceil

from engine.panes import score_bin
from engine.performance import BINARY as FORMULAS
from engine.query.expressions import Scope
from engine.query.plan import Amounts, Component
from engine.query.plans_common import (
    Builder,
    Counts,
    Draft,
    Values,
    both_classes,
    count,
    positive_of,
    two_sided,
)
from engine.query.tree import Argument, Call, Column

__all__ = ["BINARY", "binary_counts", "probability", "truth_is_positive"]

_TRUE = "('1', 'true')"


def binary_counts(call: Call, scope: Scope) -> tuple[Component, ...]:
    """Give the components tp, fp, tn and fn."""
    has, truth, guess = _sides(call, scope)
    return tuple(
        count(name, f"({has}) AND {'' if positive else 'NOT '}({truth})"
              f" AND {'' if predicted else 'NOT '}({guess})")
        for name, positive, predicted in (
            ("tp", True, True), ("fp", False, True), ("tn", False, False), ("fn", True, False)
        )
    )  # fmt: skip


def _sides(call: Call, scope: Scope) -> tuple[str, str, str]:
    """Give SQL, BOOLEAN: the row counts, its truth is positive, it was predicted positive."""
    truth = call.parameters.get("ground_truth_property")
    guess = call.parameters.get("predicted_property")
    cut = call.parameters.get("threshold")
    if truth is None and guess is None and cut is None:
        return _own(scope)
    place = f"{call.place}.parameters"
    truth = Column("label", "label", place) if truth is None else truth
    has_truth, positive = truth_is_positive(truth, scope)
    if guess is None and (cut is not None or scope.names.positive_property is not None):
        has, value = probability(scope)
        predicted = f"{value} >= {_threshold(cut, scope)}"
    else:
        guess = Column("prediction", "prediction", place) if guess is None else guess
        has, predicted = _predicted(guess, cut, scope, own=_is_label(truth))
    return f"{has_truth} AND {has}", positive, predicted


def _own(scope: Scope) -> tuple[str, str, str]:
    positive = positive_of(scope.names)
    if positive is None:
        return "false", "false", "false"
    wanted, label = scope.bind(positive), scope.read("label", "text")
    if scope.names.positive_property is None:
        guess = f"{scope.read('prediction', 'text')} = {wanted}"
        return both_classes(scope), f"{label} = {wanted}", guess
    score = scope.row("positive_score")
    # Bin 2k is k/1000: a threshold that is no multiple of 0.001 is rounded up to the next one.
    cut = 2 * ceil(round(scope.names.threshold * 1000, 6))
    has = f"{score} IS NOT NULL AND {label} IS NOT NULL"
    return has, f"{label} = {wanted}", f"{score_bin(score)} >= {cut}"


def _is_label(truth: Argument) -> bool:
    return isinstance(truth, Column) and truth.name == "label"


def truth_is_positive(truth: Argument, scope: Scope) -> tuple[str, str]:
    """Give SQL, BOOLEAN: the row has the truth; it is positive."""
    text, positive = scope.text(truth), positive_of(scope.names)
    if _is_label(truth):
        if positive is None:
            return "false", "false"
        return f"{text} IS NOT NULL", f"{text} = {scope.bind(positive)}"
    return f"{text} IS NOT NULL", f"{text} IN {_TRUE}"


def _threshold(cut: Argument | None, scope: Scope) -> str:
    return scope.number(scope.names.threshold if cut is None else cut)


def _predicted(
    guess: Argument, cut: Argument | None, scope: Scope, *, own: bool
) -> tuple[str, str]:
    """Give SQL, BOOLEAN: the row has the predicted property; it says positive."""
    number, text = scope.number(guess), scope.text(guess)
    positive = positive_of(scope.names)
    classed = isinstance(guess, Column) and guess.name == "prediction" and positive is not None
    same = f"{text} IN {_TRUE}"
    if positive is not None and (classed or own):
        same = f"{text} = {scope.bind(positive)}"
    above = f"{number} >= {_threshold(cut, scope)}"
    if classed:
        by_number = f"{number} IS NOT NULL AND {number} <> trunc({number})"
    else:
        by_number = f"{number} IS NOT NULL"
    return f"{text} IS NOT NULL", f"CASE WHEN {by_number} THEN {above} ELSE {same} END"


def probability(scope: Scope) -> tuple[str, str]:
    """Give SQL: the row has the probability of the positive class (BOOLEAN); the same (DOUBLE)."""
    if scope.names.positive_property is not None:
        score = scope.row("positive_score")
        return f"{score} IS NOT NULL", score
    positive = positive_of(scope.names)
    if positive is None or not two_sided(scope.names):
        return "false", "NULL::DOUBLE"
    score, prediction = scope.read("score", "number"), scope.read("prediction", "text")
    value = f"(CASE WHEN {prediction} = {scope.bind(positive)} THEN {score} ELSE 1 - {score} END)"
    return f"{value} IS NOT NULL AND {prediction} IS NOT NULL", value


def _binary(call: Call, scope: Scope) -> Draft:
    formula = FORMULAS[call.function]

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        tp, fp, tn, fn = (amounts.counts[name] for name in ("tp", "fp", "tn", "fn"))
        return formula(tp, fp, tn, fn), tp + fp + tn + fn

    return Draft(binary_counts(call, scope), of)


BINARY: Mapping[str, Builder] = dict.fromkeys(FORMULAS, _binary)
"""Builders by function."""
