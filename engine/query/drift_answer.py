"""The answer to a drift query: how far the target lies from the base, one row a group and period.

The key of a value is the property as written. Bins are cut from the base rows, of each group from
its own: the row of a group is what the query gives with a filter on it on both sides. Periods are
those of the target's inference time, or its batches. What is undefined is None: a window without
target rows or without base rows. Rows without a truth that is read do not count, on either side.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt

from engine.drift import contributions
from engine.errors import QueryError
from engine.query.answer import Window
from engine.query.answer_groups import rank
from engine.query.drift_frozen import Evaluation, Frozen, frozen_of
from engine.query.drift_sides import (
    Cell,
    Part,
    base_parts,
    kinds_of,
    statement_of,
    target_pieces,
)
from engine.query.names import ModelNames
from engine.query.tree import DriftQuery, Source

__all__ = ["TABLE_COLUMNS", "drift_answer", "psi_table"]

TABLE_COLUMNS = (
    *("property", "bin", "lower", "upper", "category", "base_count", "target_count"),
    *("base_share", "target_share", "contribution"),
)
"""Columns of `psi_table`, behind those that group, and before `rollup`."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MOST_COUNTS = 20_000_000  # cells times bins: 160 MB
_MOST_VALUES = 50_000_000  # of the base at once: 400 MB of numbers
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def drift_answer(
    cursor: duckdb.DuckDBPyConnection,
    names: ModelNames,
    query: DriftQuery,
    relation_of: Callable[[Source], str],
    window: Window | None = None,
    evaluation: Evaluation | None = None,
) -> list[dict[str, object]]:
    """Answer a drift query.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Where the relations can be read.
    names : ModelNames
        The model's.
    query : DriftQuery
        As `parse_drift` gives it.
    relation_of : callable
        Source -> SELECT text (`columns.rows_sql` with `truths_of` the query).
    window : (int, int, str), optional
        As in `answer`; of the target, and of a base that is no reference set.
    evaluation : Evaluation, optional
        Of the rules whose ``Thresholds`` are asked for: the default drift windows if left out.

    Returns
    -------
    list of dict
        The columns that group, each property, and `rollup`: a naive datetime in UTC, or the batch.
        In the order of groups and periods. Without a rollup every group of either side has a row,
        with one those in which the target has rows.

    Raises
    ------
    QueryError
        If two keys of a row are the same, the answer is too large, or DuckDB cannot run the query.
    """
    _check_keys(query, tuple(each.written for each in query.properties))
    rows: dict[Cell, dict[str, object]] = {}
    for part, found in _compared(cursor, names, query, relation_of, (window, evaluation)):
        for cell in found.cells:
            rows.setdefault(cell, {})
        for place, each in enumerate(part.properties):
            for cell, value in found.values(place).items():
                rows[cell][each.written] = value
    return [
        {**keys, **rows[cell], **rollup}
        for cell, keys, rollup in _ordered(query, found, list(rows))
    ]


def psi_table(
    cursor: duckdb.DuckDBPyConnection,
    names: ModelNames,
    query: DriftQuery,
    relation_of: Callable[[Source], str],
    window: Window | None = None,
) -> list[dict[str, object]]:
    """Give the bins behind every PSI value of a query, whatever its metric (ARi-16).

    Parameters and order of rows as in `drift_answer`, and each property in the order of its bins;
    the keys are the columns that group, `TABLE_COLUMNS`, and `rollup`. A bin of numbers is
    [lower, upper), None is open; `category` may be ``__other__`` and ``__missing__``. Shares are of
    the counts as they are, contributions of the smoothed ones (`engine.drift`), and sum to the PSI.
    """
    query = replace(query, metric="PSI")
    _check_keys(query, TABLE_COLUMNS)
    rows: dict[Cell, list[dict[str, object]]] = {}
    for part, found in _compared(cursor, names, query, relation_of, (window, None)):
        for cell in found.cells:
            told = rows.setdefault(cell, [])
            for place, each in enumerate(part.properties):
                told += found.bins(place, each.written, cell)
    return [
        {**keys, **row, **rollup}
        for cell, keys, rollup in _ordered(query, found, list(rows))
        for row in rows[cell]
    ]


def _check_keys(query: DriftQuery, keys: tuple[str, ...]) -> None:
    for each in query.group_by:
        if each.written in keys:
            told = "one of the properties" if keys is not TABLE_COLUMNS else "a column of the table"
            msg = f'`{each.place}` must not be {told}, got "{each.written}"'
            raise QueryError(msg)
    written = (*keys, *(each.written for each in query.group_by))
    if query.rollup is not None and "rollup" in written:
        msg = '`query.rollup` must be absent where a column is called "rollup"; qualify its name'
        raise QueryError(msg)


# ---- both sides --------------------------------------------------------------------------------


def _compared(
    cursor: duckdb.DuckDBPyConnection,
    names: ModelNames,
    query: DriftQuery,
    relation_of: Callable[[Source], str],
    when: tuple[Window | None, Evaluation | None],
) -> "Iterator[tuple[DriftQuery, _Tally]]":
    """Read both sides; gives all properties at once unless the base is too large for that."""
    window, evaluation = when[0], when[1] or Evaluation()
    base = relation_of(query.base.source), None if query.base.source == "reference" else window
    target = relation_of(query.target.source), window
    try:
        size, kinds = kinds_of(cursor, names, query, *base)
        each = max(1, _MOST_VALUES // max(1, size))
        for start in range(0, len(query.properties), each):
            part = replace(query, properties=query.properties[start : start + each])
            here = kinds[start : start + each]
            parts = base_parts(cursor, statement_of(names, part, "base", base, here), part)
            tally = _Tally(part, parts)
            for cell, rows in parts.items():
                tally.frozen[cell] = frozen_of(names.model_id, part, here, rows, evaluation)
            for piece in target_pieces(
                cursor, statement_of(names, part, "target", target, here), part
            ):
                tally.take(piece)
            yield part, tally
    except duckdb.Error as error:
        msg = f"the query failed: {str(error).splitlines()[0]}"
        raise QueryError(msg) from error


@dataclass
class _Tally:
    """Counts of the target by cell, property and bin.

    Attributes
    ----------
    frozen : dict
        The base: group to its properties.
    found : dict of Cell to int
        Place of each cell of the target in the counts.
    numeric, rows : dict
        Group to its rows on both sides: those that numbers group, and all.
    """

    query: DriftQuery
    parts: dict[Cell, Part]
    frozen: dict[Cell, list[Frozen]] = field(default_factory=dict)
    found: dict[Cell, int] = field(default_factory=dict)
    counts: list[Ints] = field(default_factory=list)
    entries: dict[tuple[int, int], list[Floats]] = field(default_factory=dict)
    numeric: dict[Cell, Ints] = field(default_factory=dict)
    rows: dict[Cell, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.parts.values():
            self._note(part)

    @property
    def cells(self) -> list[Cell]:
        """Every cell that has a row in the answer."""
        if self.query.rollup is not None:
            return list(self.found)
        return list(dict.fromkeys((*self.found, *(self.parts if self.query.group_by else [()]))))

    def group(self, cell: Cell) -> Cell:
        """Give the group of a cell."""
        return cell[: len(self.query.group_by)]

    def take(self, part: Part) -> None:
        """Count the rows of a piece of the target."""
        self._note(part)
        places = [self.found.setdefault(cell, len(self.found)) for cell in part.cells]
        self._grow()
        cell = np.array(places, np.int64)[part.cell]
        groups: dict[Cell, list[int]] = {}
        for place, told in enumerate(part.cells):
            groups.setdefault(self.group(told), []).append(place)
        for group, members in groups.items():
            if group in self.frozen:
                mine = np.flatnonzero(np.isin(part.cell, members))
                self._count(self.frozen[group], part, mine, cell)

    def _note(self, part: Part) -> None:
        """Note the rows of each group, and how many of them numbers group."""
        for place, cell in enumerate(part.cells):
            group, mine = self.group(cell), part.cell == place
            before = self.numeric.get(group, np.zeros(len(self.query.group_by), np.int64))
            self.numeric[group] = before + part.numeric[mine].sum(axis=0)
            self.rows[group] = self.rows.get(group, 0) + int(mine.sum())

    def _grow(self) -> None:
        """Make room for all cells."""
        widths = [
            max((len(each[place].bins) for each in self.frozen.values()), default=1)
            for place in range(len(self.query.properties))
        ]
        if len(self.found) * sum(widths) > _MOST_COUNTS:
            msg = (
                f"the query must give at most {_MOST_COUNTS:,} counts of bins, got more than"
                f" {len(self.found):,} rows of {sum(widths):,}; ask for fewer groups or properties,"
                " or a coarser rollup"
            )
            raise QueryError(msg)
        if not self.counts:
            self.counts = [np.zeros((0, width), np.int64) for width in widths]
        more = len(self.found) - len(self.counts[0])
        if more > 0:
            more = max(more, len(self.counts[0]))  # twice the room: pieces may bring one each
            self.counts = [np.pad(each, ((0, more), (0, 0))) for each in self.counts]

    def _count(self, frozen: list[Frozen], part: Part, mine: Ints, cell: Ints) -> None:
        for place, each in enumerate(frozen):
            counted = part.counts[place]
            used = mine if counted is None else mine[counted[mine]]
            column = part.values[place].take(used) if len(used) < len(cell) else part.values[place]
            counts = self.counts[place]
            flat = cell[used] * counts.shape[1] + each.codes(column)
            counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)
            if each.ordered is not None:
                values = np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
                for number in np.unique(cell[used]):
                    picked = values[cell[used] == number]
                    known = picked[~np.isnan(picked)]
                    self.entries.setdefault((place, int(number)), []).append(known)

    def values(self, place: int) -> dict[Cell, float | None]:
        """Give the value of a property in every cell."""
        found: dict[Cell, float | None] = dict.fromkeys(self.cells)
        for group, frozen in self.frozen.items():
            cells = [cell for cell in self.found if self.group(cell) == group]
            if not cells:
                continue
            each, numbers = frozen[place], [self.found[cell] for cell in cells]
            counts = self.counts[place][numbers, : len(each.bins)]
            nothing = [np.empty(0)]
            entries = [
                np.concatenate(self.entries.get((place, number), nothing)) for number in numbers
            ]
            told = each.values(self.query.metric, counts, entries)
            found.update(zip(cells, told, strict=True))
        return found

    def bins(self, place: int, written: str, cell: Cell) -> list[dict[str, object]]:
        """Give the bins of a property in one cell; none of a group that the base does not have."""
        if self.group(cell) not in self.frozen:
            return []
        bins = self.frozen[self.group(cell)][place].bins
        counts = np.zeros(len(bins), np.int64)
        if cell in self.found:
            counts = self.counts[place][self.found[cell], : len(bins)]
        parts = contributions("PSI", bins.reference, counts[None, :])[0].tolist()
        base, size = int(bins.reference.sum()), int(counts.sum())
        told = zip(bins.rows(), bins.reference.tolist(), counts.tolist(), parts, strict=True)
        return [
            dict(
                zip(
                    TABLE_COLUMNS,
                    (
                        *(written, row.bin, _finite(row.lower), _finite(row.upper), row.category),
                        *(r, k, r / base if base else None, k / size if size else None),
                        _finite(part),
                    ),
                    strict=True,
                )
            )
            for row, r, k, part in told
        ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


# ---- the order of the answer -------------------------------------------------------------------


def _ordered(
    query: DriftQuery, tally: _Tally, cells: list[Cell]
) -> list[tuple[Cell, dict[str, object], dict[str, object]]]:
    """Give the cells in order, with the columns that group and the period of each."""
    told = []
    for cell in cells:
        group = tally.group(cell)
        keys = [
            float(text) if text is not None and numbers == tally.rows[group] else text
            for text, numbers in zip(group, tally.numeric.get(group, ()), strict=True)
        ]
        period = _period(query, cell[-1]) if query.rollup is not None else None
        told.append((cell, keys, period))
    told.sort(key=lambda each: [rank(value) for value in (*each[1], each[2])])
    return [
        (
            cell,
            {each.written: key for each, key in zip(query.group_by, keys, strict=True)},
            {} if query.rollup is None else {"rollup": period},
        )
        for cell, keys, period in told
    ]


def _period(query: DriftQuery, text: str | None) -> object:
    if text is None or query.rollup == "batch_id":
        return text
    return _EPOCH + timedelta(microseconds=int(text))
