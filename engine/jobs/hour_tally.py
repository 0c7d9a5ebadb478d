"""What was decided in a selection without filters, counted from days and hours.

Whole days of a range come from `decision_days`, whole hours at its ends from `decision_panes`, and
what it cuts off an hour from the stored events. So it takes as long as there are days and kinds of
decisions, however many events. Events that retention has dropped still count in whole hours; of an
hour that a range cuts they do not.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from engine.asking import first
from engine.jobs.days import DAY_S, DECIDED_DAYS
from engine.jobs.deployments import HOUR_S, JobModels, in_job_sql
from engine.jobs.questions import JobQuestion
from engine.jobs.selection import tally_events
from engine.jobs.tally import Cell, Tally

__all__ = ["tally_hours"]

_HOUR_US = HOUR_S * 1_000_000
_DAY_HOURS = DAY_S // HOUR_S


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Whole days or hours, [low, high) in s; None: open. `rows` is SQL with `column` as time."""

    rows: str
    column: str
    span_s: int
    low_s: int | None
    high_s: int | None

    @property
    def where(self) -> str:
        """SQL for what lies in it."""
        found = [] if self.low_s is None else [f"p.{self.column} >= {self.low_s}"]
        found += [] if self.high_s is None else [f"p.{self.column} < {self.high_s}"]
        return " AND ".join(["true", *found])


def tally_hours(
    cursor: duckdb.DuckDBPyConnection, question: JobQuestion, known: JobModels
) -> Tally:
    """Count the events of a job in a range; the question's filters are not looked at.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    question : JobQuestion
    known : JobModels
        Of the job.
    """
    start_us, end_us = question.start_us, question.end_us
    low = None if start_us is None else -(-start_us // _HOUR_US)
    high = None if end_us is None else end_us // _HOUR_US
    if low is not None and high is not None and low > high:  # within one hour
        return _edge(cursor, question, (start_us, end_us))
    total = _whole_hours(cursor, (question.job_id, known), low, high)
    if low is not None and start_us is not None and start_us < low * _HOUR_US:
        total = total.merge(_edge(cursor, question, (start_us, low * _HOUR_US)))
    if high is not None and end_us is not None and high * _HOUR_US < end_us:
        total = total.merge(_edge(cursor, question, (high * _HOUR_US, end_us)))
    return total


def _edge(
    cursor: duckdb.DuckDBPyConnection, question: JobQuestion, edge: tuple[int | None, int | None]
) -> Tally:
    asked = replace(question, start_us=edge[0], end_us=edge[1], filters=())
    return tally_events(cursor, asked)


def _stretches(low: int | None, high: int | None) -> list[_Stretch]:
    """Cut the hours [low, high), counted from the epoch, into days and the hours around them."""
    first_day = None if low is None else -(-low // _DAY_HOURS)
    end_day = None if high is None else high // _DAY_HOURS
    panes = ("decision_panes", "hour_s", HOUR_S)
    if low is not None and high is not None and (first_day or 0) >= (end_day or 0):
        return [_Stretch(*panes, low * HOUR_S, high * HOUR_S)]
    day_low = None if first_day is None else first_day * DAY_S
    day_high = None if end_day is None else end_day * DAY_S
    found = [_Stretch(DECIDED_DAYS, "day_s", DAY_S, day_low, day_high)]
    if low is not None and day_low is not None and low * HOUR_S < day_low:
        found.append(_Stretch(*panes, low * HOUR_S, day_low))
    if high is not None and day_high is not None and day_high < high * HOUR_S:
        found.append(_Stretch(*panes, day_high, high * HOUR_S))
    return found


def _whole_hours(
    cursor: duckdb.DuckDBPyConnection,
    job: tuple[str, JobModels],
    low: int | None,
    high: int | None,
) -> Tally:
    """Count the hours [low, high), in hours since the epoch."""
    job_id, known = job
    inside, values = in_job_sql("p", job_id, known.mapped)
    cells: Counter[Cell] = Counter()
    spans: list[tuple[int, int]] = []
    for stretch in _stretches(low, high):
        there = f"FROM {stretch.rows} p WHERE {inside} AND {stretch.where}"
        rows = cursor.execute(
            f"SELECT model_id, label, prediction, label_source, sum(count)::BIGINT {there}"
            " GROUP BY ALL HAVING sum(count) IS DISTINCT FROM 0",
            values,
        ).fetchall()
        cells.update({row[:4]: row[4] for row in rows})
        if low is None and high is None:
            spans = [(day_s, day_s + DAY_S) for day_s in known.days or ()]
        elif rows:
            spans += _ends(cursor, stretch, there, values)
    if not spans:
        return Tally(cells)
    return _bounded(cursor, Tally(cells), (job_id, known.mapped), spans)


def _ends(
    cursor: duckdb.DuckDBPyConnection, stretch: _Stretch, there: str, values: Mapping[str, object]
) -> list[tuple[int, int]]:
    """Give the first and the last span, [start, end) in s, that have events; rest adds up to 0."""
    row = first(
        cursor,
        f"SELECT min(start_s), max(start_s) FROM (SELECT p.{stretch.column} AS start_s {there}"
        " GROUP BY start_s HAVING sum(count) IS DISTINCT FROM 0)",
        values,
    )
    if row is None or row[0] is None:
        return []
    return [(int(start), int(start) + stretch.span_s) for start in row]


def _bounded(
    cursor: duckdb.DuckDBPyConnection,
    tally: Tally,
    job: tuple[str, Sequence[str]],
    spans: Sequence[tuple[int, int]],
) -> Tally:
    """Add the times of the first and the last event, which are looked up in the log.

    Where retention has dropped them, the bounds of their hour stand in for them.
    """
    inside, values = in_job_sql("p", *job)
    begin = _hour(cursor, "min", inside, values, min(spans))
    end = _hour(cursor, "max", inside, values, max(spans, key=lambda span: span[1]))
    inside, values = in_job_sql("e", *job)
    return replace(
        tally,
        first_us=_bound(cursor, "min", inside, values, begin) or begin[0] * 1_000_000,
        last_us=_bound(cursor, "max", inside, values, end) or end[1] * 1_000_000,
    )


def _hour(
    cursor: duckdb.DuckDBPyConnection,
    which: str,
    inside: str,
    values: Mapping[str, object],
    span: tuple[int, int],
) -> tuple[int, int]:
    """Give the first or last hour of a span, which is a day or an hour, that has events."""
    if span[1] - span[0] == HOUR_S:
        return span
    row = first(
        cursor,
        f"SELECT {which}(hour_s) FROM (SELECT p.hour_s FROM decision_panes p WHERE {inside}"
        f" AND p.hour_s >= {span[0]} AND p.hour_s < {span[1]}"
        " GROUP BY p.hour_s HAVING sum(p.count) IS DISTINCT FROM 0)",
        values,
    )
    return span if row is None or row[0] is None else (row[0], row[0] + HOUR_S)


def _bound(
    cursor: duckdb.DuckDBPyConnection,
    which: str,
    inside: str,
    values: Mapping[str, object],
    span: tuple[int, int],
) -> int | None:
    """Give the first or last event time of a span, µs; None where there is none any more."""
    row = first(
        cursor,
        f"SELECT epoch_us({which}(e.event_time)) FROM events_stored e"
        f" ANTI JOIN events_retired USING (seq) WHERE {inside}"
        f" AND e.event_time >= make_timestamp({span[0] * 1_000_000})"
        f" AND e.event_time < make_timestamp({span[1] * 1_000_000})",
        values,
    )
    return None if row is None or row[0] is None else int(row[0])
