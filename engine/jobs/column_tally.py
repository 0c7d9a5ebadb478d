"""Counts a selection whose filters are on columns alone: most events have no outcome.

All events are counted by the label that they say themselves; then those with an outcome are taken
out of the cell they were counted in, and put into that of their outcome. So the join, which takes
three times as long as the count, is over few events.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.jobs.filters import Predicate
from engine.jobs.rows_of_job import (
    OUTCOME,
    Part,
    events_sql,
    labels_sql,
    own_rows_sql,
    rows_sql,
)
from engine.jobs.tally import ENDS, Cell, Run, Tally, cell_of
from engine.panes import class_of

__all__ = ["ColumnTally"]

_OWN = "model_id, prediction, own, own_source"


@dataclass(frozen=True, slots=True)
class ColumnTally:
    """A selection whose filters read no JSON.

    Attributes
    ----------
    wheres : tuple of str
        Conditions on rows ``e`` of `events_log`.
    predicates : tuple of Predicate
    values : mapping of str to object
        Their parameters by name.
    """

    wheres: tuple[str, ...]
    predicates: tuple[Predicate, ...]
    values: Mapping[str, object]

    def tally(self, parts: Sequence[Part], changed: Sequence[int], run: Run) -> Tally:
        """Count the parts of the log, and find those `seq` of `changed` that are in it."""
        statements = [(sql(part), self.values) for part in parts for sql in (self._own, self._held)]
        if changed:
            statements.append((self._listed(), {**self.values, "changed": list(changed)}))
        tables = run(statements)
        rows = [row for table in tables[: 2 * len(parts)] for row in table.to_pylist()]
        cells: Counter[Cell] = Counter()
        for row in rows:
            cells[cell_of(row, "own")] += row["owned"]
            if row["held"]:
                cells[cell_of(row)] += row["held"]
        there = Counter({cell: count for cell, count in cells.items() if count})
        if not there:
            return Tally()
        hits = tuple(tables[-1]["seq"].to_numpy().tolist()) if changed else ()
        return Tally(there, self._end("first_us", rows, run), self._end("last_us", rows, run), hits)

    def _own(self, part: Part) -> str:
        """Count all events by the label that they say themselves."""
        events = events_sql(self.wheres, self.predicates, part)
        return (
            f"SELECT {_OWN}, count(*) AS owned, NULL AS label,"
            f" NULL AS label_source, 0 AS held, {ENDS.format('', 'own_')},"
            " NULL::BIGINT AS first_us, NULL::BIGINT AS last_us FROM ("
            f"SELECT r.model_id, {class_of('r.prediction')} AS prediction, {class_of('r.label')}"
            " AS own, r.label_source AS own_source, r.event_time"
            f" FROM ({own_rows_sql(events, decided=False)}) r"
            f" WHERE {labels_sql(self.predicates)}) GROUP BY {_OWN}"
        )

    def _held(self, part: Part) -> str:
        """Count those with an outcome: what they say themselves to be taken back."""
        events, labels = events_sql(self.wheres, self.predicates, part), labels_sql(self.predicates)
        own = (
            f"SELECT r.*, {labels} AS was, {class_of('r.label')} AS own,"
            f" r.label_source AS own_source FROM ({own_rows_sql(events, part, decided=True)}) r"
        )
        turned = ", ".join(f"held_{name} AS {name}" for name in OUTCOME)
        both = f"SELECT r.*, {labels} AS holds FROM (SELECT * REPLACE ({turned}) FROM ({own})) r"
        key = f"{_OWN}, label, label_source"
        return (
            f"SELECT {key}, -count(*) FILTER (was) AS owned, count(*) FILTER (holds) AS held,"
            f" {ENDS.format(' FILTER (was)', 'own_')}, {ENDS.format(' FILTER (holds)', '')}"
            f" FROM (SELECT r.model_id, {class_of('r.prediction')} AS prediction, r.own,"
            f" r.own_source, {class_of('r.label')} AS label, r.label_source, r.event_time, r.was,"
            f" r.holds FROM ({both}) r WHERE r.was OR r.holds) GROUP BY {key}"
        )

    def _listed(self) -> str:
        wheres = (*self.wheres, "e.seq IN (SELECT unnest($changed::BIGINT[]))")
        rows = rows_sql(events_sql(wheres, self.predicates))
        return f"SELECT r.seq FROM ({rows}) r WHERE {labels_sql(self.predicates)}"

    def _end(self, which: str, rows: Sequence[Mapping[str, Any]], run: Run) -> int | None:
        """Give the time of the first or last event of what was counted.

        Where the outermost event by own labels is one that was taken back, the next one is looked
        up: it lies within the outermost by outcomes.
        """
        sign = 1 if which == "first_us" else -1
        own = _outermost(rows, f"own_{which}", sign, lambda owned: owned > 0)
        if all(not each.reads_labels for each in self.predicates):
            return None if own is None else sign * own
        gone = _outermost(rows, f"own_{which}", sign, lambda owned: owned < 0)
        held = _outermost(rows, which, sign, lambda _: True)
        if own is None or (held is not None and held <= own):
            return None if held is None else sign * held
        if gone is None or gone > own:
            return sign * own
        return self._looked_up(sign, None if held is None else sign * held, run)

    def _looked_up(self, sign: int, bound_us: int | None, run: Run) -> int | None:
        function, order = ("min", "<=") if sign > 0 else ("max", ">=")
        near = () if bound_us is None else (f"e.event_time {order} make_timestamp({bound_us})",)
        events = events_sql((*self.wheres, *near), self.predicates)
        sql = (
            f"SELECT epoch_us({function}(r.event_time)) AS us FROM ({rows_sql(events)}) r"
            f" WHERE {labels_sql(self.predicates)}"
        )
        found: int | None = run([(sql, self.values)])[0]["us"][0].as_py()
        return found


def _outermost(
    rows: Sequence[Mapping[str, Any]], name: str, sign: int, kept: Callable[[int], bool]
) -> int | None:
    """Give the least of `sign` times a time, over rows by how many events they own."""
    times = (row[name] for row in rows if kept(row["owned"]))
    return min((sign * us for us in times if us is not None), default=None)
