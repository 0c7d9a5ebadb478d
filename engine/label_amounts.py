"""Labelled predictions, weighted +1 and -1, to amounts per pane in both time bases.

A row counts in the pane of its event time (basis `event`) and in that of the greater of event time
and label time (basis `label`). Whole counts are taken back by -1; sums of floats never are: only
rows of weight 1 are summed, and `engine.label_panes` computes anew what a row was taken from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.amounts import (
    Coded,
    Groups,
    binned,
    coded,
    group,
    join_codes,
    pane_starts,
    whole_doubles,
)
from engine.arrays import Array, Doubles, Flags, Ints, whole
from engine.binned import bin_of

__all__ = ["BASES", "LABELLED_COLUMNS", "LabelAmounts", "label_amounts"]

BASES = ("event", "label")

LABELLED_COLUMNS = (
    *("model_id", "event_us", "label_us", "label", "label_number"),
    *("prediction", "prediction_number", "score", "positive_score"),
)
"""What `label_amounts` needs of a row; `model_id` is the series that it is counted under."""

_EPSILON = 2.220446049250313e-16  # the clip of scikit-learn's log_loss


@dataclass(frozen=True, slots=True)
class LabelAmounts:
    """What labelled rows add to the panes; counts of 0 are left out.

    Attributes
    ----------
    totals : pyarrow.Table
        `model_id`, `time_basis`, `pane_s`, `labelled`.
    cells : pyarrow.Table
        `model_id`, `time_basis`, `pane_s`, `label`, `prediction`, `count`: of classes alone.
    bins : pyarrow.Table
        `model_id`, `event_pane_s`, `label_pane_s`, `kind`, `label`, `prediction`, `bins`, `counts`.
    errors : pyarrow.Table
        `model_id`, `time_basis`, `pane_s`, `count`, `squared_error`, `absolute_error`,
        `label_mean`, `label_m2`: where label and prediction are numbers.
    probabilities : pyarrow.Table
        `model_id`, `time_basis`, `pane_s`, `count`, `log_loss`, `brier`: of the probability given
        to the true class, where it is known.
    """

    totals: pa.Table
    cells: pa.Table
    bins: pa.Table
    errors: pa.Table
    probabilities: pa.Table


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows as columns of numbers; NaN where there is none."""

    weight: Ints
    models: Coded
    labels: Coded
    predictions: Coded
    label_number: Doubles
    prediction_number: Doubles
    score: Doubles
    positive_score: Doubles
    classes: Flags  # label and prediction are both classes
    panes: Mapping[str, tuple[Ints, Ints]]  # per basis: code of each row, start of each code
    same: bool  # both panes are one, in every row


def label_amounts(
    rows: pa.Table,
    weight: Ints | None,
    positives: Mapping[str, str | None],
    pane_s: int,
    bases: Sequence[str] = BASES,
) -> LabelAmounts:
    """Reduce labelled rows.

    Parameters
    ----------
    rows : pyarrow.Table
        `LABELLED_COLUMNS`; a label in every row; sums are taken in their order.
    weight : int64, shape (rows,), optional
        1 or -1; all 1 when left out.
    positives : mapping
        The positive class (or None) of the models that name the property `positive_score`.
    pane_s : int
        Seconds a pane.
    bases : sequence of str
        The time bases to count in.
    """
    told = _read(rows, weight, pane_s)
    some = told.weight > 0
    return LabelAmounts(
        totals=_by_basis(told, bases, lambda basis: _totals(told, basis)),
        cells=_by_basis(told, bases, lambda basis: _cells(told, basis)),
        bins=_bins(told),
        errors=_errors(told, bases, some),
        probabilities=_probabilities(told, bases, some, positives),
    )


def _read(rows: pa.Table, weight: Ints | None, pane_s: int) -> _Rows:
    event_us = np.asarray(whole(rows["event_us"]))
    label_us = np.maximum(event_us, np.asarray(whole(rows["label_us"])))
    same = bool((event_us == label_us).all())
    event = pane_starts(event_us, pane_s)
    panes = {"event": event, "label": event if same else pane_starts(label_us, pane_s)}
    names = ("label_number", "prediction_number", "score", "positive_score")
    numbers = {name: _nan_for_null(rows[name]) for name in names}
    predictions = coded(rows["prediction"])
    classes = predictions.code < len(predictions.names)
    for name in names[:2]:
        number = numbers[name]
        classes &= np.isnan(number) | (number == np.trunc(number))
    return _Rows(
        weight=np.ones(len(rows), np.int64) if weight is None else weight,
        models=coded(rows["model_id"]),
        labels=coded(rows["label"]),
        predictions=predictions,
        classes=classes,
        panes=panes,
        same=same,
        **numbers,
    )


def _nan_for_null(column: Array) -> Doubles:
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    values, valid = whole_doubles(column)
    return values if valid.all() else np.where(valid, values, np.nan)


def _by_basis(rows: _Rows, bases: Sequence[str], make: Callable[[str], pa.Table]) -> pa.Table:
    """Make the amounts of each basis; once, where both panes are one."""
    if rows.same:
        made = make(bases[0])
        return pa.concat_tables([_named(made, basis) for basis in bases])
    return pa.concat_tables([_named(make(basis), basis) for basis in bases])


def _named(table: pa.Table, basis: str) -> pa.Table:
    return table.add_column(1, "time_basis", pa.repeat(pa.scalar(basis), len(table)))


def _totals(rows: _Rows, basis: str) -> pa.Table:
    groups, places = _panes(rows, basis)
    count = groups.counts(rows.weight)
    some = np.flatnonzero(count)
    return pa.table({**places.at(some), "labelled": count[some]})


def _cells(rows: _Rows, basis: str) -> pa.Table:
    pane, starts = rows.panes[basis]
    key, size = join_codes(
        (rows.models.code, rows.models.size),
        (pane, len(starts)),
        (rows.labels.code, rows.labels.size),
        (rows.predictions.code, rows.predictions.size),
    )
    chosen = np.flatnonzero(rows.classes)
    groups = group(key[chosen], size)
    count = groups.counts(rows.weight[chosen])
    some = np.flatnonzero(count)
    row = chosen[groups.first()[some]]
    return pa.table(
        {
            "model_id": rows.models.texts(rows.models.code[row]),
            "pane_s": starts[pane[row]],
            "label": rows.labels.texts(rows.labels.code[row]),
            "prediction": rows.predictions.texts(rows.predictions.code[row]),
            "count": count[some],
        }
    )


def _bins(rows: _Rows) -> pa.Table:
    """Make a row a cell and kind: all its bins with their counts."""
    kinds = (
        ("score", rows.score, ~np.isnan(rows.score) & rows.classes),
        ("positive", rows.positive_score, ~np.isnan(rows.positive_score)),
    )
    return pa.concat_tables([_binned(rows, *kind) for kind in kinds])


def _binned(rows: _Rows, kind: str, scores: Doubles, which: Flags) -> pa.Table:
    chosen = np.flatnonzero(which)
    codes = [(rows.models.code, rows.models.size)]
    for basis in BASES[:1] if rows.same else BASES:
        pane, starts = rows.panes[basis]
        codes.append((pane, len(starts)))
    codes += [(each.code, each.size) for each in (rows.labels, rows.predictions)]
    key, size = join_codes(*((code[chosen], count) for code, count in codes))
    cells = group(key, size)
    bins = bin_of(scores[chosen]).astype(np.int64)
    present, places, counts = binned(cells.of_row, len(cells), bins, rows.weight[chosen])
    row = chosen[cells.first()[present]]
    (event, event_starts), (label, label_starts) = rows.panes["event"], rows.panes["label"]
    return pa.table(
        {
            "model_id": rows.models.texts(rows.models.code[row]),
            "event_pane_s": event_starts[event[row]],
            "label_pane_s": label_starts[label[row]],
            "kind": pa.repeat(pa.scalar(kind), len(row)),
            "label": rows.labels.texts(rows.labels.code[row]),
            "prediction": rows.predictions.texts(rows.predictions.code[row]),
            "bins": places,
            "counts": counts,
        }
    )


def _errors(rows: _Rows, bases: Sequence[str], counted: Flags) -> pa.Table:
    with np.errstate(over="ignore"):
        error = rows.label_number - rows.prediction_number
    chosen = np.flatnonzero(counted & ~np.isnan(error))

    def of(basis: str) -> pa.Table:
        groups, places = _panes(rows, basis, chosen)
        labels, off = rows.label_number[chosen], error[chosen]
        count = groups.counts()
        with np.errstate(over="ignore", invalid="ignore"):  # sums beyond all doubles are infinite
            mean = groups.sums(labels) / np.maximum(count, 1)
            away = labels - mean[groups.of_row]
            squares, spread = groups.sums(off * off), groups.sums(away * away)
        return pa.table(
            {
                **places.at(np.arange(len(groups))),
                "count": count,
                "squared_error": squares,
                "absolute_error": groups.sums(np.abs(off)),
                "label_mean": mean,
                "label_m2": spread,
            }
        )

    return _by_basis(rows, bases, of)


def _probabilities(
    rows: _Rows, bases: Sequence[str], counted: Flags, positives: Mapping[str, str | None]
) -> pa.Table:
    p = _given_to_truth(rows, positives)
    chosen = np.flatnonzero(counted & ~np.isnan(p))
    p = p[chosen]
    loss, square = -np.log(np.clip(p, _EPSILON, 1 - _EPSILON)), (1 - p) * (1 - p)

    def of(basis: str) -> pa.Table:
        groups, places = _panes(rows, basis, chosen)
        return pa.table(
            {
                **places.at(np.arange(len(groups))),
                "count": groups.counts(),
                "log_loss": groups.sums(loss),
                "brier": groups.sums(square),
            }
        )

    return _by_basis(rows, bases, of)


def _given_to_truth(rows: _Rows, positives: Mapping[str, str | None]) -> Doubles:
    """Give the probability that was given to the label that came, NaN where none is known."""
    label = _same_text(rows.labels, rows.predictions)[rows.predictions.code] == rows.labels.code
    p = np.where(label, rows.score, 1 - rows.score)
    p[~rows.classes] = np.nan
    if not positives:
        return p
    names = rows.models.names.to_pylist()
    told = [positives.get(name) for name in names] + [None]
    places = {name: place for place, name in enumerate(rows.labels.names.to_pylist())}
    # Of a label that is not among the rows: no row has it.
    wanted = np.array([-2 if name is None else places.get(name, -1) for name in told], np.int64)
    positive = wanted[rows.models.code]
    p[positive != -2] = np.nan
    score = np.where(positive == rows.labels.code, rows.positive_score, 1 - rows.positive_score)
    return np.where(np.isnan(rows.positive_score), p, score)


def _same_text(texts: Coded, others: Coded) -> Ints:
    """Give for each code of `others` that of the same text in `texts`; -1 where there is none."""
    found: Array = pc.index_in(others.names, value_set=texts.names)
    return np.append(np.asarray(found.fill_null(-1)).astype(np.int64), -1)


@dataclass(frozen=True, slots=True)
class _Places:
    """Model and pane of each group."""

    models: Array
    panes: Ints

    def at(self, groups: Ints) -> dict[str, Array]:
        """Give the columns of some groups."""
        return {
            "model_id": self.models.take(pa.array(groups)),
            "pane_s": pa.array(self.panes[groups], pa.int64()),
        }


def _panes(rows: _Rows, basis: str, chosen: Ints | None = None) -> tuple[Groups, _Places]:
    """Put rows together by model and pane."""
    (pane, starts), model = rows.panes[basis], rows.models.code
    if chosen is not None:
        pane, model = pane[chosen], model[chosen]
    groups = group(*join_codes((model, rows.models.size), (pane, len(starts))))
    models, place = np.divmod(groups.key, max(len(starts), 1))
    return groups, _Places(rows.models.texts(models), starts[place])
