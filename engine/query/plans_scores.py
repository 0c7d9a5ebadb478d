"""Functions of probabilities: logLoss, brierScore, auc and calibrationError.

They are those of `metric_values`: definitions in `engine.label_amounts` and `engine.metric_scores`.
auc and calibrationError come from the 2,001 score bins, with the error bounds of `engine.binned`;
with properties of its own, auc takes predicted numbers from 0 to 1 and the truths of
`plans_binary`.
"""

from collections.abc import Mapping

import numpy as np

from engine.binned import BINS, auc
from engine.panes import score_bin
from engine.query.exact import exact_means
from engine.query.expressions import Scope
from engine.query.plan import SCALE_BITS, Amounts, Component, Multiset
from engine.query.plans_binary import probability, truth_is_positive
from engine.query.plans_common import (
    Builder,
    Counts,
    Draft,
    Values,
    both_classes,
    count,
    positive_of,
    total,
    two_sided,
)
from engine.query.tree import Call, Column

__all__ = ["SCORES"]

_EPSILON = 2.220446049250313e-16  # the clip of scikit-learn's log_loss
_INTERVALS = 10


def _of_truth(scope: Scope) -> str:
    """Give SQL, DOUBLE: the probability that was given to the true class; NULL without one."""
    names, label = scope.names, scope.read("label", "text")
    if names.positive_property is not None:
        positive, score = positive_of(names), scope.row("positive_score")
        if positive is None:
            return "NULL::DOUBLE"
        said = f"CASE WHEN {label} = {scope.bind(positive)} THEN {score} ELSE 1 - {score} END"
        return f"(CASE WHEN {label} IS NOT NULL THEN {said} END)"
    if not two_sided(names):
        return "NULL::DOUBLE"
    score, prediction = scope.read("score", "number"), scope.read("prediction", "text")
    said = f"CASE WHEN {label} = {prediction} THEN {score} ELSE 1 - {score} END"
    return f"(CASE WHEN {both_classes(scope)} THEN {said} END)"


def _loss(call: Call, scope: Scope) -> Draft:
    p = _of_truth(scope)
    loss = f"(1 - {p}) * (1 - {p})"
    if call.function == "logLoss":
        loss = f"-ln(greatest({_EPSILON!r}, least(1 - {_EPSILON!r}, {p})))"

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        return exact_means(amounts.sums["loss"], amounts.counts["n"]), amounts.counts["n"]

    loss = f"CASE WHEN {p} IS NOT NULL THEN {loss} END"
    return Draft((count("n", f"{p} IS NOT NULL"), total("loss", loss)), of)


def _auc(call: Call, scope: Scope) -> Draft:
    given = call.parameters.get("ground_truth_property"), call.parameters.get("predicted_property")
    truth = Column("label", "label", call.place) if given[0] is None else given[0]
    has_truth, positive = truth_is_positive(truth, scope)
    if given[1] is None:
        has, bin_ = _own_bin(scope, has_classes=given[0] is None)
    else:
        p = scope.number(given[1])
        has, bin_ = f"{p} BETWEEN 0 AND 1", _bin(p)
    code = f"2 * {bin_} + CASE WHEN {positive} THEN 1 ELSE 0 END"
    sql = f"CASE WHEN {has_truth} AND {has} THEN ({code})::DOUBLE END"
    return Draft((Component("code", "values", sql),), of_multiset=_auc_of)


def _bin(p: str) -> str:
    return f"{score_bin(p)}::INTEGER"


def _own_bin(scope: Scope, *, has_classes: bool) -> tuple[str, str]:
    """Give SQL: the row has a probability of the positive class (BOOLEAN); its bin (INTEGER)."""
    positive = positive_of(scope.names)
    if scope.names.positive_property is not None or positive is None or not two_sided(scope.names):
        has, p = probability(scope)
        return has, _bin(p)
    # 1 - score is bin 2000 - bin, exactly, where the difference itself would be rounded.
    score, prediction = scope.read("score", "number"), scope.read("prediction", "text")
    has = f"{score} IS NOT NULL AND {prediction} IS NOT NULL"
    if has_classes:
        has = f"{has} AND {both_classes(scope)}"
    same = f"{prediction} = {scope.bind(positive)}"
    return has, f"(CASE WHEN {same} THEN {_bin(score)} ELSE 2000 - {_bin(score)} END)"


def _auc_of(codes: Multiset, _pane_s: int) -> tuple[float | None, int]:
    counts = np.zeros(2 * BINS, np.int64)
    np.add.at(counts, codes.entries.astype(np.int64), codes.weights)
    found = auc(counts[1::2], counts[::2])
    return (None if np.isnan(found) else found), int(counts.sum())


def _calibration(_call: Call, scope: Scope) -> Draft:
    has, came_true, p = _confidence(scope)
    bin_ = _bin(p)
    gap = f"(CASE WHEN {came_true} THEN 2000 ELSE 0 END - {bin_})::DOUBLE"
    parts = [f"gap{i}" for i in range(_INTERVALS)]
    sums = [
        total(part, f"CASE WHEN ({has}) AND least({bin_} // 200, 9) = {i} THEN {gap} END")
        for i, part in enumerate(parts)
    ]

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        n = amounts.counts["n"]
        gaps = [np.array([abs(x) >> SCALE_BITS for x in amounts.sums[part]]) for part in parts]
        whole = np.sum(gaps, axis=0).astype(np.float64)
        return np.divide(whole, 2000 * n, out=np.full(len(n), np.nan), where=n != 0), n

    return Draft((count("n", has), *sums), of)


def _confidence(scope: Scope) -> tuple[str, str, str]:
    """Give SQL: the row has a confidence and a label, it came true (BOOLEAN); the confidence."""
    label = scope.read("label", "text")
    if scope.names.positive_property is None:
        score = scope.read("score", "number")
        same = f"{label} = {scope.read('prediction', 'text')}"
        return f"{both_classes(scope)} AND {score} IS NOT NULL", same, score
    positive = positive_of(scope.names)
    if positive is None:
        return "false", "false", "NULL::DOUBLE"
    score = scope.row("positive_score")
    has = f"{label} IS NOT NULL AND {score} IS NOT NULL"
    return has, f"{label} = {scope.bind(positive)}", score


SCORES: Mapping[str, Builder] = {
    "logLoss": _loss,
    "brierScore": _loss,
    "auc": _auc,
    "calibrationError": _calibration,
}
"""Builders by function."""
