"""The answer to a drift query: how far the target lies from the base, one row a group and period.

The key of a value is the property as written. Bins are cut from the base rows, of each group from
its own: the row of a group is what the query gives with a filter on it on both sides. Periods are
those of the target's inference time, or its batches. What is undefined is None: a window without
target rows or without base rows. Rows without a truth that is read do not count, on either side.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb

from engine.errors import QueryError
from engine.query.answer import Window
from engine.query.answer_groups import rank
from engine.query.drift_frozen import Evaluation, frozen_of
from engine.query.drift_sides import Cell, base_parts, kinds_of, statement_of, target_pieces
from engine.query.drift_tally import TABLE_COLUMNS, Tally
from engine.query.names import ModelNames
from engine.query.tree import DriftQuery, Source

__all__ = ["drift_answer", "psi_table"]

_MOST_VALUES = 50_000_000  # of the base at once: 400 MB of numbers
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def drift_answer(
    cursor: duckdb.DuckDBPyConnection,
    names: ModelNames,
    query: DriftQuery,
    relation_of: Callable[[Source], str],
    window: Window | None = None,
    *,
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
) -> Iterator[tuple[DriftQuery, Tally]]:
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
            tally = Tally(part, parts)
            for cell, rows in parts.items():
                tally.frozen[cell] = frozen_of(names.model_id, part, here, rows, evaluation)
            statement = statement_of(names, part, "target", target, here)
            with closing(target_pieces(cursor, statement, part)) as pieces:
                for piece in pieces:
                    tally.take(piece)
            yield part, tally
    except duckdb.Error as error:
        msg = f"the query failed: {str(error).splitlines()[0]}"
        raise QueryError(msg) from error


# ---- the order of the answer -------------------------------------------------------------------


def _ordered(
    query: DriftQuery, tally: Tally, cells: list[Cell]
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
