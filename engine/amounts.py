"""Rows to amounts per pane: how many, and count, sum, least and greatest of each number.

Everything here is numpy over whole columns. Sums of floats are taken row after row, in the order
of the rows given, so that the same rows give the same bits wherever they are added up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.arrays import Array, Doubles, Flags, Ints, doubles, validity, whole
from engine.binned import BINS

__all__ = [
    "Coded",
    "EventAmounts",
    "Groups",
    "binned",
    "coded",
    "event_amounts",
    "group",
    "join_codes",
    "pane_starts",
    "whole_doubles",
]

# Numbers of groups up to this many times that of the rows are told by counting, not by sorting.
_COUNTED = 16


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of texts as numbers.

    Attributes
    ----------
    code : int64, shape (n,)
        Place in `names`; `len(names)` where the text is null.
    names : pyarrow.StringArray
        The distinct texts, in order of their first row; all of its dictionary, where the column
        has one.
    """

    code: Ints
    names: Array

    @property
    def size(self) -> int:
        """How many codes there are, that of null included."""
        return len(self.names) + 1

    def texts(self, codes: Ints) -> Array:
        """Give the texts of some codes, null among them."""
        beyond = codes >= len(self.names)
        return self.names.take(pa.array(np.where(beyond, 0, codes), mask=beyond))


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows put together by a key.

    Attributes
    ----------
    of_row : int64, shape (n,)
        The group of each row, from 0 in ascending order of the key.
    key : int64, shape (groups,)
        Ascending.
    """

    of_row: Ints
    key: Ints

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.key)

    def order(self) -> Ints:
        """Give the rows sorted by group, those of one group in their own order."""
        narrow = self.of_row.astype(np.uint16) if len(self) <= 1 << 16 else self.of_row
        return np.argsort(narrow, kind="stable")

    def sums(self, values: Doubles) -> Doubles:
        """Add up one value a row."""
        # Of nothing it gives whole numbers.
        found = np.bincount(self.of_row, weights=values, minlength=len(self))
        return found.astype(np.float64, copy=False)

    def counts(self, weights: Ints | None = None) -> Ints:
        """Count the rows, or add up their whole weights."""
        if weights is None:
            return np.bincount(self.of_row, minlength=len(self)).astype(np.int64)
        return np.rint(self.sums(weights.astype(np.float64))).astype(np.int64)

    def first(self) -> Ints:
        """Give a row of each group; of an empty one any row."""
        rows = np.zeros(len(self), np.int64)
        rows[self.of_row] = np.arange(len(self.of_row))
        return rows

    def only(self, rows: Flags) -> "Groups":
        """Give the groups of some of the rows; empty ones stay."""
        return Groups(self.of_row[rows], self.key)


def coded(column: Array) -> Coded:
    """Give each text of a column its number; a column with a dictionary keeps that."""
    column = whole(column) if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(column.type):
        found = column
    else:
        column = column if column.type == pa.string() else column.cast(pa.string())
        found = column.dictionary_encode()
    names = found.dictionary
    indices = found.indices
    if indices.null_count:
        indices = indices.fill_null(len(names))
    return Coded(np.asarray(indices).astype(np.int64), names)


def group(key: Ints, size: int) -> Groups:
    """Put rows together by a whole number.

    Parameters
    ----------
    key : int64, shape (n,)
        From 0.
    size : int
        All keys are below it.
    """
    if size <= _COUNTED * max(len(key), 1024):
        found = np.flatnonzero(np.bincount(key, minlength=1))
        place = np.zeros(size, np.int64)
        place[found] = np.arange(len(found))
        return Groups(place[key], found.astype(np.int64))
    found, of_row = np.unique(key, return_inverse=True)
    return Groups(of_row.reshape(-1).astype(np.int64), found)


def binned(cell: Ints, cells: int, bins: Ints, weights: Ints) -> tuple[Ints, Array, Array]:
    """Count score bins by cell; counts of 0 are left out.

    Parameters
    ----------
    cell : int64, shape (n,)
        Below `cells`.
    cells : int
    bins : int64, shape (n,)
    weights : int64, shape (n,)

    Returns
    -------
    present : int64, shape (m,)
        The cells that have a count, ascending.
    places, counts : pyarrow.ListArray of int16, of int64, shape (m,)
        The bins of each, ascending, and their counts.
    """
    order = _by_cell_and_bin(cell, cells, bins)
    owner, place = cell[order], bins[order]
    starts = np.flatnonzero(np.diff(owner * BINS + place, prepend=-1))
    if (weights == 1).all():
        count = np.diff(starts, append=len(order))
    else:
        count = np.add.reduceat(weights[order], starts) if len(starts) else weights
    some = count != 0
    owner, place, count = owner[starts][some], place[starts][some], count[some]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    offsets = pa.array(np.append(starts, len(owner)), pa.int32())
    places = pa.ListArray.from_arrays(offsets, pa.array(place, pa.int16()))
    counts = pa.ListArray.from_arrays(offsets, pa.array(count, pa.int64()))
    return owner[starts], places, counts


def _by_cell_and_bin(cell: Ints, cells: int, bins: Ints) -> Ints:
    """Give the rows in order of cell and bin; small numbers are sorted digit by digit."""
    if cells > 1 << 16:
        return np.argsort(cell * BINS + bins, kind="stable")
    order = np.argsort(bins.astype(np.uint16), kind="stable")
    return order[np.argsort(cell[order].astype(np.uint16), kind="stable")]


def join_codes(*columns: tuple[Ints, int]) -> tuple[Ints, int]:
    """Make one number of several: (code, size) each, the first one weighs most.

    Where all combinations together would not fit into 63 bits, what is joined so far is numbered
    anew, in the same order.
    """
    code, size = columns[0]
    for more, count in columns[1:]:
        if size * count >= 1 << 62:
            groups = group(code, size)
            code, size = groups.of_row, len(groups)
        code, size = code * count + more, size * count
    return code, size


def pane_starts(times_us: Ints, pane_s: int) -> tuple[Ints, Ints]:
    """Give the pane of each instant as a number from 0, and the start in seconds of each number.

    Parameters
    ----------
    times_us : int64, shape (n,)
    pane_s : int

    Returns
    -------
    code : int64, shape (n,)
    starts : int64, shape (panes,)
    """
    pane = times_us // (pane_s * 1_000_000)
    low = int(pane.min()) if len(pane) else 0
    span = (int(pane.max()) - low + 1) if len(pane) else 1
    groups = group(pane - low, span)
    return groups.of_row, (groups.key + low) * pane_s


@dataclass(frozen=True, slots=True)
class EventAmounts:
    """What predictions add to the panes of their event time.

    Attributes
    ----------
    totals : pyarrow.Table
        `model_id`, `pane_s`, `events`.
    values : pyarrow.Table
        `model_id`, `pane_s`, `property`, `count`, `sum`, `min`, `max`; only what has a value.
    """

    totals: pa.Table
    values: pa.Table


def event_amounts(
    series: Array,
    event_us: Ints,
    numbers: Mapping[str, Array],
    sparse: tuple[Ints, Array, Doubles],
    pane_s: int,
) -> EventAmounts:
    """Reduce predictions that are counted once each.

    Parameters
    ----------
    series : pyarrow string array, shape (n,)
        The series that each is counted under.
    event_us : int64, shape (n,)
    numbers : mapping of str to pyarrow double array, shape (n,)
        By qualified name.
    sparse : tuple of arrays, shape (m,)
        Further numbers: the row of each, ascending, its name and its value. A name may have some
        values here and others in its column.
    pane_s : int
        Seconds a pane.
    """
    models = coded(series)
    pane, starts = pane_starts(event_us, pane_s)
    groups = group(*join_codes((models.code, models.size), (pane, len(starts))))
    order = groups.order()
    model, place = np.divmod(groups.key, max(len(starts), 1))
    where = (models.texts(model), starts[place])
    row, names, value = sparse
    named = coded(names)
    beside = named.names.to_pylist()
    found = [
        _statistics(name, whole_doubles(column), groups, order)
        for name, column in numbers.items()
        if name not in beside
    ]
    for code, name in enumerate(beside):
        some = named.code == code
        rows, values = row[some], value[some]
        if name in numbers:
            rows, values = _merged(rows, values, whole_doubles(numbers[name]))
        part = Groups(groups.of_row[rows], groups.key)
        found.append(_statistics(name, (values, np.ones(len(values), np.bool_)), part, None))
    totals = {"model_id": where[0], "pane_s": where[1], "events": groups.counts()}
    return EventAmounts(pa.table(totals), _values(found, where))


def whole_doubles(column: Array) -> tuple[Doubles, Flags]:
    """Give the numbers of a column without a copy, and where there are any."""
    array = whole(column) if isinstance(column, pa.ChunkedArray) else column
    return doubles(array), validity(array)


def _merged(rows: Ints, values: Doubles, column: tuple[Doubles, Flags]) -> tuple[Ints, Doubles]:
    """Put the numbers of a column and those beside it together, in the order of their rows."""
    more = np.flatnonzero(column[1])
    rows = np.concatenate((rows, more))
    values = np.concatenate((values, column[0][more]))
    order = np.argsort(rows, kind="stable")
    return rows[order], values[order]


@dataclass(frozen=True, slots=True)
class _Statistics:
    """Of one property, by group; only groups with a value."""

    name: str
    groups: Ints
    count: Ints
    sum: Doubles
    least: Doubles
    greatest: Doubles


def _statistics(
    name: str, column: tuple[Doubles, Flags], groups: Groups, order: Ints | None
) -> _Statistics:
    values, valid = column
    if not valid.all():
        groups = groups.only(valid)
        values, order = values[valid], None
    if order is None:
        order = groups.order()
    counts = groups.counts()
    some = np.flatnonzero(counts)
    sums = groups.sums(values)[some]
    if not len(some):
        return _Statistics(name, some, counts[some], sums, sums, sums)
    ends = np.cumsum(counts[some])
    ordered, starts = values[order], ends - counts[some]
    least, greatest = np.minimum.reduceat(ordered, starts), np.maximum.reduceat(ordered, starts)
    return _Statistics(name, some, counts[some], sums, least, greatest)


def _values(found: Sequence[_Statistics], where: tuple[Array, Ints]) -> pa.Table:
    """Make one row a group and property."""
    found = [each for each in found if len(each.groups)]
    models, panes = where
    groups = _joined([each.groups for each in found], np.int64)
    names = pa.array([each.name for each in found], pa.string())
    nth = np.repeat(np.arange(len(found)), [len(each.groups) for each in found])
    return pa.table(
        {
            "model_id": models.take(pa.array(groups, pa.int64())),
            "pane_s": pa.array(panes[groups], pa.int64()),
            "property": names.take(pa.array(nth, pa.int64())),
            "count": pa.array(_joined([each.count for each in found], np.int64)),
            "sum": pa.array(_joined([each.sum for each in found], np.float64)),
            "min": pa.array(_joined([each.least for each in found], np.float64)),
            "max": pa.array(_joined([each.greatest for each in found], np.float64)),
        }
    )


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *arrays])
