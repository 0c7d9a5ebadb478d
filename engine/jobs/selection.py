"""What was decided in a selection of a job's events, counted from the stored events.

Where a filter reads the events' JSON, the labels that hold are joined to the events that pass it;
where all are on columns there is a shorter way (`engine.jobs.column_tally`).

The log is counted in parts, which several cursors may do at the same time. Parts must see one state
of the store: whoever runs them begins their transactions between two commits of the writer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import duckdb
import pyarrow as pa

from engine.asking import first
from engine.errors import QueryError
from engine.jobs.column_tally import ColumnTally
from engine.jobs.fields import kind_of
from engine.jobs.filters import Predicate, compile_filters
from engine.jobs.questions import JobQuestion
from engine.jobs.rows_of_job import Part, events_in_job, events_sql, labels_sql, rows_sql
from engine.jobs.tally import CELL, ENDS, Cell, Run, Tally, cell_of, one_by_one
from engine.kept import has_bare_events
from engine.panes import class_of

__all__ = ["tally_events"]

_PART_LINES = 1 << 19  # lines of the log below which a part is not worth its start


def tally_events(
    cursor: duckdb.DuckDBPyConnection,
    question: JobQuestion,
    changed: Sequence[int] = (),
    run: Run | None = None,
) -> Tally:
    """Count the events of a job that are in the range and pass all filters.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    question : JobQuestion
    changed : sequence of int
        `seq` of events to look for in the selection.
    run : callable, optional
        Runs the parts; one after another on the cursor if absent.
    """
    _check_kept(cursor, question)
    predicates = compile_filters(question.filters)
    inside, values = events_in_job(cursor, question.job_id)
    for predicate in predicates:
        values |= predicate.parameters
    times = _in_range(question.start_us, question.end_us)
    wheres = (inside, *times)
    parts = _parts(cursor, times, parallel=run is not None)
    if not parts:
        return Tally()
    run = run or one_by_one(cursor)
    if any(predicate.reads_raw for predicate in predicates):
        more = {"changed": list(changed)} if changed else {}
        statements = [
            (_count_sql(wheres, predicates, part, listed=bool(changed)), values | more)
            for part in parts
        ]
        return _tally(run(statements))
    return ColumnTally(wheres, predicates, values).tally(parts, changed, run)


def _check_kept(cursor: duckdb.DuckDBPyConnection, question: JobQuestion) -> None:
    """Refuse filters on properties of events that were stored without them."""
    named = [each.field for each in question.filters if kind_of(each.field) == "property"]
    if named and has_bare_events(cursor):
        msg = (
            "`filters` must be on columns alone where events are stored without their properties"
            f" (`keep_events: none`), got {named[0]}"
        )
        raise QueryError(msg)


def _in_range(start_us: int | None, end_us: int | None) -> list[str]:
    """Give SQL for whether an event of `e` is in a range of event time."""
    found = [] if start_us is None else [f"e.event_time >= make_timestamp({start_us})"]
    return found if end_us is None else [*found, f"e.event_time < make_timestamp({end_us})"]


def _parts(
    cursor: duckdb.DuckDBPyConnection, times: Sequence[str], *, parallel: bool
) -> list[Part]:
    """Cut the log, as far as it has events of a range of time, into ranges of `seq`.

    Of a short range little is read then, also of the outcomes, if lines came roughly in order.
    """
    if not times and not parallel:
        return [None]
    # Of a bare column under plain conditions DuckDB looks at the statistics of all row groups while
    # it plans: 19 ms at 50 million events, where reading the few that are left takes 3.
    seq, where = ("e.seq + 0", " AND ".join(times)) if times else ("e.seq", "true")
    low, high = first(
        cursor, f"SELECT min({seq}), max({seq}) + 1 FROM events_stored e WHERE {where}"
    ) or (None, None)
    if low is None or high is None:
        return []
    if not parallel or high - low < 2 * _PART_LINES:
        return [(low, high)]
    count = min(8, (high - low) // _PART_LINES)
    cuts = [low + (high - low) * index // count for index in range(count + 1)]
    return list(pairwise(cuts))


def _count_sql(
    wheres: Sequence[str], predicates: Sequence[Predicate], part: Part, *, listed: bool
) -> str:
    """Select the cells of the rows that fulfil everything, for `_tally`.

    With `listed` also those `seq` of them that are in the parameter `changed`.
    """
    member = ", r.seq IN (SELECT unnest($changed::BIGINT[])) AS hit" if listed else ""
    found = "list(seq) FILTER (hit)" if listed else "NULL::BIGINT[]"
    return (
        f"SELECT {CELL}, count(*) AS count, {ENDS.format('', '')}, {found} AS changed FROM ("
        f"SELECT r.model_id, {class_of('r.label')} AS label, {class_of('r.prediction')}"
        f" AS prediction, r.label_source, r.event_time, r.seq{member}"
        f" FROM ({rows_sql(events_sql(wheres, predicates, part), part)}) r"
        f" WHERE {labels_sql(predicates)}) GROUP BY {CELL}"
    )


def _tally(tables: Iterable[pa.Table]) -> Tally:
    """Add up what `_count_sql` has found in each part."""
    rows = [row for table in tables for row in table.to_pylist()]
    cells: Counter[Cell] = Counter()
    for row in rows:
        cells[cell_of(row)] += row["count"]
    return Tally(
        cells,
        min((row["first_us"] for row in rows), default=None),
        max((row["last_us"] for row in rows), default=None),
        tuple(seq for row in rows for seq in row["changed"] or ()),
    )
