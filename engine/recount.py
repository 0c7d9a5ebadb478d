"""Counts everything anew from the stored events, when a setting that panes depend on has changed.

The size of a pane, the label horizon, who is an administrator, the positive class and the limits
decide what outcomes and panes say. They are functions of the stored predictions and votes, so after
a change they are deleted and computed again, a range of lines at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from engine.asking import number
from engine.config import ModelSettings
from engine.consensus import decide
from engine.event_side import EventSide
from engine.fold import positives_of
from engine.jobs.decisions import backfill_decisions
from engine.known import Known
from engine.label_panes import LABELLED, LabelPanes
from engine.positive import places
from engine.query.columns import StoredColumns
from engine.query.names import ModelNames

__all__ = ["recount"]

_RANGE = 1 << 18

_PANES = (
    "total_panes",
    "cell_panes",
    "score_bins",
    "value_panes",
    "error_panes",
    "probability_panes",
)


def recount(cursor: duckdb.DuckDBPyConnection, known: Known, pane_s: int, horizon_us: int) -> None:
    """Delete outcomes and panes and make them again from `events_log` and `votes_log`.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Inside a transaction, with the lists `administrators` and `positives`.
    known : Known
        Loaded; forgets what it admitted and admits anew.
    pane_s, horizon_us : int
        The pane in seconds and the label horizon in µs that hold now.
    """
    for table in (
        *_PANES,
        "outcomes",
        "outcomes_retired",
        "models_known",
        "model_classes",
        "model_properties",
    ):
        cursor.execute(f"DELETE FROM {table}")
    cursor.execute("DELETE FROM settings WHERE name = 'limits_reached'")
    known.load()
    _score_positives(cursor, known.declared)
    panes = LabelPanes(cursor, positives_of(known.declared.values()), pane_s)
    counter = _Counter(cursor, known, EventSide(cursor, pane_s), panes)
    lines = number(cursor, "SELECT max(seq) + 1 FROM events_stored")
    next_outcome = 1
    for low in range(0, lines, _RANGE):
        bounds = f"seq >= {low} AND seq < {low + _RANGE}"
        next_outcome = _settle(cursor, bounds, horizon_us, next_outcome)
        counter.count(bounds, low)
    cursor.execute("UPDATE clock SET next_outcome = ?", [next_outcome])
    backfill_decisions(cursor)


def _settle(
    cursor: duckdb.DuckDBPyConnection, bounds: str, horizon_us: int, next_outcome: int
) -> int:
    """Decide the outcomes of one range of events; gives the next free outcome number."""
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_winners AS SELECT seq, key, model_id, event_id,"
        f" event_time FROM events_stored ANTI JOIN events_retired USING (seq) WHERE {bounds}"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_votes AS SELECT * FROM votes_log"
        " SEMI JOIN t_winners USING (key)"
    )
    decide(cursor, horizon_us)
    added = number(
        cursor,
        f"INSERT INTO outcomes SELECT {next_outcome} - 1 + row_number() OVER"
        " (ORDER BY event_seq, property), event_seq, property, label, label_number,"
        " label_time, label_source FROM t_outcomes ORDER BY event_seq, property",
    )
    return next_outcome + added


def _score_positives(
    cursor: duckdb.DuckDBPyConnection, declared: Mapping[str, ModelSettings]
) -> None:
    """Read the positive score of the stored events anew, as the decoder would."""
    cursor.execute("UPDATE events_kept SET positive_score = NULL WHERE positive_score IS NOT NULL")
    for model in declared.values():
        name = model.positive_property
        if name is None:
            continue
        found = [StoredColumns(ModelNames(model.id)).json(each)[0] for each in places(name)]
        cases = ", ".join(f"({each})" for each in found)
        cursor.execute(
            "UPDATE events_kept SET positive_score = p FROM (SELECT seq AS own,"
            f" coalesce({cases}) AS p FROM events_kept r WHERE model_id = $model)"
            " WHERE seq = own AND p BETWEEN 0 AND 1",
            {"model": model.id},
        )


@dataclass(frozen=True, slots=True)
class _Counter:
    """Counts ranges of stored events into the panes."""

    cursor: duckdb.DuckDBPyConnection
    known: Known
    events: EventSide
    panes: LabelPanes

    def count(self, bounds: str, block_seq: int) -> None:
        """Count the events within `bounds`, SQL over `seq`."""
        stored = "events_stored ANTI JOIN events_retired USING (seq)"
        models = self.cursor.sql(
            "SELECT model_id, job_id, epoch_us(event_time) AS event_us"
            f" FROM {stored} WHERE {bounds} ORDER BY seq"
        ).to_arrow_table()
        self.known.admit_models(models)
        series = self.known.series()
        values = self.events.recount(bounds, series, block_seq)
        self.events.write_values(self.known.admit_properties(values), block_seq)
        self.cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_changes AS SELECT 1 AS weight, *"
            f" FROM ({LABELLED}) WHERE {bounds} ORDER BY seq"
        )
        changes = self.panes.changes(series)
        if len(changes):
            amounts = self.known.admit_classes(self.panes.amounts(changes))
            self.panes.write([amounts], block_seq)
