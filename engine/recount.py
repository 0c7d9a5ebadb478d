"""Counts everything anew from the stored events, when a setting that panes depend on has changed.

The size of a pane, the label horizon, who is an administrator, the positive class and the limits
decide what outcomes and panes say. They are functions of the stored predictions and votes, so after
a change they are deleted and computed again, a range of lines at a time.
"""

import duckdb

from engine.asking import number
from engine.consensus import decide
from engine.event_side import EventSide
from engine.known import Known
from engine.label_side import LABELLED, LabelSide

__all__ = ["recount"]

_RANGE = 1 << 18

_PANES = (
    "total_panes",
    "cell_panes",
    "score_bin_panes",
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
    events, labels = EventSide(cursor, pane_s), LabelSide(cursor, pane_s)
    lines = number(cursor, "SELECT max(seq) + 1 FROM events_log")
    next_outcome = 1
    for low in range(0, lines, _RANGE):
        bounds = f"seq >= {low} AND seq < {low + _RANGE}"
        next_outcome = _settle(cursor, bounds, horizon_us, next_outcome)
        _count(cursor, bounds, low, known, events, labels)
    cursor.execute("UPDATE clock SET next_outcome = ?", [next_outcome])


def _settle(
    cursor: duckdb.DuckDBPyConnection, bounds: str, horizon_us: int, next_outcome: int
) -> int:
    """Decide the outcomes of one range of events; gives the next free outcome number."""
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_winners AS SELECT seq, key, model_id, event_id,"
        f" event_time FROM events_log ANTI JOIN events_retired USING (seq) WHERE {bounds}"
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


def _count(
    cursor: duckdb.DuckDBPyConnection,
    bounds: str,
    block_seq: int,
    known: Known,
    events: EventSide,
    labels: LabelSide,
) -> None:
    """Count one range of events into the panes."""
    models = cursor.sql(
        f"SELECT model_id FROM events_log ANTI JOIN events_retired USING (seq) WHERE {bounds}"
        " ORDER BY seq"
    ).to_arrow_table()
    known.admit_models(models)
    series = known.series()
    events.recount(bounds, series, block_seq)
    known.admit_properties()
    events.write()
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE t_changes AS SELECT 1 AS weight, *"
        f" FROM ({LABELLED}) WHERE {bounds} ORDER BY seq"
    )
    if labels.gather(fresh=False, touched=True, series=series):
        labels.count()
        known.admit_classes()
        labels.write(block_seq)
        labels.sum(block_seq, touched=False, series=series)
