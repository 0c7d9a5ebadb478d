"""Queries over what is stored of one model, asked once: checked, bounded, answered.

An answer has at most `ROWS_MAX` rows: a query for more is refused, and names `limit` and `offset`.
Filters on times and batches are allowed, unlike in metrics. What is undefined or absent is None.
"""

from dataclasses import replace
from typing import Any

import duckdb

from engine.asking import number
from engine.config import ModelSettings, Settings
from engine.errors import QueryError
from engine.query.answer import answer
from engine.query.check import truths_of
from engine.query.columns import rows_sql
from engine.query.drift_answer import drift_answer, psi_table
from engine.query.drift_frozen import Evaluation
from engine.query.drift_parse import parse_drift
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.query.parse_names import has_aggregate
from engine.query.psi_buckets import psi_buckets
from engine.query.stored_names import check_kept, missing_names, stored_names
from engine.query.tree import Column, DriftQuery, Query, Source
from engine.rules.definition import drift_step

__all__ = ["ROWS_MAX", "SUBQUERY_ROWS_MAX", "ask", "ask_drift", "ask_psi_buckets"]

ROWS_MAX = 10_000
"""Rows of an answer."""

SUBQUERY_ROWS_MAX = 100_000
"""Rows of a subquery that aggregates nothing: they are held in memory."""

_TRUTHS_MAX = 32  # each is a join

Rows = list[dict[str, object]]


def ask(
    cursor: duckdb.DuckDBPyConnection,
    model: ModelSettings,
    query: object,
    page: tuple[int, int] | None = None,
) -> Rows:
    """Answer a query.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.
    model : ModelSettings
    query : object
        Decoded JSON, see `engine.query.parse`.
    page : (int, int), optional
        Number, from 1, and size of a page; only for a query without `limit` and `offset`.

    Returns
    -------
    list of dict
        As `engine.query.answer` gives them.

    Raises
    ------
    QueryError
        The query breaks a rule, or its answer is too large.
    """
    names = stored_names(cursor, model)
    tree = parse(query, names)
    missing = missing_names(cursor, names, tree)
    if missing is not None:
        tree = parse(query, missing)
    check_kept(cursor, tree)
    if page is not None:
        tree = _paged(tree, page)
    _check_subqueries(tree, "query")
    truths = _truths(tree, names)
    rows = answer(cursor, names, _limited(tree), lambda source: rows_sql(names, source, truths))
    return _checked(rows)


def ask_drift(
    cursor: duckdb.DuckDBPyConnection, settings: Settings, model: ModelSettings, query: object
) -> Rows:
    """Answer a drift query; its ``Thresholds`` are those of the model's default drift rules."""
    names, tree = _drift(cursor, model, query)
    lookback_s = model.drift_lookback_s or settings.time.drift_lookback_s
    version = number(
        cursor,
        "SELECT max(version) FROM reference_versions WHERE model_id = $model",
        {"model": model.id},
    )
    evaluation = Evaluation(lookback_s, drift_step(lookback_s), max(version, 1))
    relation = _relation(names, tree)
    return _checked(drift_answer(cursor, names, tree, relation, evaluation=evaluation))


def ask_psi_buckets(cursor: duckdb.DuckDBPyConnection, model: ModelSettings, query: object) -> Rows:
    """Give the bins behind each PSI of a drift query (ARi-16), with the words of its contract.

    A single property may be given as `property`, as the published clients do.
    """
    given = query
    if isinstance(query, dict) and "property" in query:
        if "properties" in query:
            msg = "`query` must have either property or properties"
            raise QueryError(msg)
        given = {key: value for key, value in query.items() if key != "property"}
        given["properties"] = [query["property"]]
    names, tree = _drift(cursor, model, given)
    table = psi_table(cursor, names, tree, _relation(names, tree))
    return _checked(psi_buckets(table, tree))


# ---- reading -----------------------------------------------------------------------------------


def _truths(tree: Query, names: ModelNames) -> tuple[str, ...]:
    """Give the truths that are read; where all properties are, those that are known."""
    found = truths_of(tree)
    if not any(isinstance(item, Column) and item.name == "*" for item in tree.select):
        return found
    named = [n.removeprefix("labels.") for n in names.properties if n.startswith("labels.")]
    return tuple(sorted({"label", *found, *named[:_TRUTHS_MAX]}))


def _drift(
    cursor: duckdb.DuckDBPyConnection, model: ModelSettings, query: object
) -> tuple[ModelNames, DriftQuery]:
    names = stored_names(cursor, model)
    tree = parse_drift(query, names)
    missing = missing_names(cursor, names, tree)
    tree = tree if missing is None else parse_drift(query, missing)
    check_kept(cursor, tree)
    return names, tree


def _relation(names: ModelNames, tree: DriftQuery) -> Any:
    truths = truths_of(tree)

    def relation(source: Source) -> str:
        return rows_sql(names, source, truths)

    return relation


# ---- bounds ------------------------------------------------------------------------------------


def _paged(tree: Query, page: tuple[int, int]) -> Query:
    if tree.limit is not None or tree.offset:
        msg = "`page` and `page_size` must be absent where the query has a limit or an offset"
        raise QueryError(msg)
    number_, size = page
    return replace(tree, limit=size, offset=(number_ - 1) * size)


def _limited(tree: Query) -> Query:
    """Ask for one row more than there may be."""
    if tree.limit is not None and tree.limit > ROWS_MAX:
        msg = f"`query.limit` must be at most {ROWS_MAX}, got {tree.limit}; `offset` gives the next"
        raise QueryError(msg)
    return tree if tree.limit is not None else replace(tree, limit=ROWS_MAX + 1)


def _check_subqueries(tree: Query, place: str) -> None:
    inner, place = tree.subquery, f"{place}.subquery"
    if inner is None:
        return
    gathers = bool(inner.group_by) or any(has_aggregate(item) for item in inner.select)
    if not gathers and (inner.limit is None or inner.limit > SUBQUERY_ROWS_MAX):
        msg = (
            f"`{place}` must aggregate, or have a limit of at most {SUBQUERY_ROWS_MAX}:"
            " its rows are held in memory"
        )
        raise QueryError(msg)
    _check_subqueries(inner, place)


def _checked(rows: Rows) -> Rows:
    if len(rows) > ROWS_MAX:
        msg = (
            f"the answer must have at most {ROWS_MAX} rows, got more; ask for pages of it with"
            " `limit` and `offset`, or for fewer groups"
        )
        raise QueryError(msg)
    return rows
