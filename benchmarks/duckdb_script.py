"""The yardstick: one single-threaded DuckDB script that makes the final tables from nothing.

It is told what Bellwether has to find out: the columns and their types, that no line is bad, and
that all votes are those of one unnamed voter. It computes what Bellwether keeps: `events` (one row
per model and id, the late labels joined), `votes`, and the panes of `engine/rows.py` that this
workload fills, on both time bases, in a database file. Its order among predictions with the same id
and time is its own.

Written to be fast: the properties are parsed once, repeats are looked for by a narrow grouping
and only those found are sorted, rows wait in an uncompressed temporary table, and all cells and
sums come out of one grouping. `typed` properties stay the columns they were parsed into, which is
cheaper to store and possible only where every event has the same few; as `json` they can be
anything, as in Bellwether.
"""

import argparse
import time
from pathlib import Path

import duckdb

from benchmarks.workload import FEATURES

__all__ = ["HORIZON_MS", "build"]

HORIZON_MS = 30 * 86_400_000
_EPSILON = 2.220446049250313e-16

_NAMES = [f"feature_{f}" for f in range(FEATURES)]
_STRUCT = ", ".join(f"{name} DOUBLE" for name in _NAMES)

_READ = f"""
    CREATE TEMP TABLE parsed AS SELECT * FROM read_ndjson(?, columns = {{
        type: 'VARCHAR', model_id: 'VARCHAR', job_id: 'VARCHAR', id: 'VARCHAR',
        timestamp: 'BIGINT', prediction: 'VARCHAR', label: 'VARCHAR', score: 'DOUBLE',
        features: 'STRUCT({_STRUCT})'}})"""

_PAIR = f"""
    CREATE TEMP TABLE repeated AS
        SELECT model_id, id FROM parsed WHERE type = 'prediction'
        GROUP BY ALL HAVING count(*) > 1;

    CREATE TEMP VIEW winners AS
        SELECT * FROM parsed ANTI JOIN repeated USING (model_id, id) WHERE type = 'prediction'
        UNION ALL (
            SELECT DISTINCT ON (model_id, id) *
            FROM parsed SEMI JOIN repeated USING (model_id, id) WHERE type = 'prediction'
            ORDER BY model_id, id, timestamp DESC, to_json(parsed) DESC);

    CREATE TABLE votes AS
        SELECT DISTINCT model_id, id AS event_id, label, timestamp AS vote_ms
        FROM parsed WHERE type = 'label';

    CREATE TEMP TABLE standing AS
        SELECT v.model_id, v.event_id, max(v.vote_ms) AS vote_ms,
            arg_max(v.label, (v.vote_ms, v.label)) AS label
        FROM votes v JOIN winners w ON v.model_id = w.model_id AND v.event_id = w.id
        WHERE abs(v.vote_ms - w.timestamp) <= {HORIZON_MS} GROUP BY ALL;

    CREATE TEMP TABLE joined AS
        SELECT w.* EXCLUDE (type, label), coalesce(s.label, w.label) AS label,
            coalesce(s.vote_ms, if(w.label IS NULL, NULL, w.timestamp)) AS label_ms,
            w.timestamp // 60000 * 60 AS event_pane,
            greatest(w.timestamp, s.vote_ms) // 60000 * 60 AS label_pane
        FROM winners w LEFT JOIN standing s ON w.model_id = s.model_id AND w.id = s.event_id;

    DROP VIEW winners;
    DROP TABLE parsed"""

_EVENTS = """
    CREATE TABLE events AS
        SELECT model_id, id AS event_id, make_timestamp_ms(timestamp) AS event_time, prediction,
            label, make_timestamp_ms(label_ms) AS label_time, score, prediction = label AS correct,
            job_id, {properties} AS properties
        FROM joined"""

_PANES = f"""
    CREATE TEMP TABLE cells AS
        SELECT model_id, event_pane, label_pane, label, prediction, count(*) AS count,
            sum(-ln(greatest({_EPSILON}, least(1 - {_EPSILON}, p)))) AS log_loss,
            sum((1 - p) ** 2) AS brier, count(p) AS scored
        FROM (SELECT *, if(label = prediction, score, 1 - score) AS p FROM joined) GROUP BY ALL;

    CREATE TEMP VIEW based AS
        SELECT 'event' AS time_basis, event_pane AS pane_s, * FROM cells
        UNION ALL
        SELECT 'label', label_pane, * FROM cells WHERE label IS NOT NULL;

    CREATE TABLE total_panes AS
        SELECT model_id, time_basis, pane_s, sum(count)::BIGINT AS events,
            coalesce(sum(count) FILTER (label IS NOT NULL), 0)::BIGINT AS labelled
        FROM based GROUP BY ALL;

    CREATE TABLE cell_panes AS
        SELECT model_id, time_basis, pane_s, label, prediction, sum(count)::BIGINT AS count
        FROM based WHERE label IS NOT NULL GROUP BY ALL;

    CREATE TABLE probability_panes AS
        SELECT model_id, time_basis, pane_s, sum(scored)::BIGINT AS count,
            sum(log_loss) AS log_loss, sum(brier) AS brier
        FROM based WHERE label IS NOT NULL GROUP BY ALL HAVING sum(scored) > 0"""

_BIN = "(2 * round(score * 1000) + sign(score - round(score * 1000) / 1000))::SMALLINT"
_SCORE_BINS = f"""
    CREATE TABLE score_bins AS
        SELECT model_id, event_pane, label_pane, label, prediction, {_BIN} AS bin,
            count(*) AS count
        FROM joined WHERE label IS NOT NULL AND score IS NOT NULL GROUP BY ALL;

    CREATE VIEW score_bin_panes AS
        SELECT model_id, 'event' AS time_basis, event_pane AS pane_s, label, prediction, bin,
            sum(count)::BIGINT AS count FROM score_bins GROUP BY ALL
        UNION ALL
        SELECT model_id, 'label', label_pane, label, prediction, bin, sum(count)::BIGINT
        FROM score_bins GROUP BY ALL"""

_VALUE = "struct_pack(count := count({0}), sum := sum({0}), min := min({0}), max := max({0}))"
_SUMMARIES = ", ".join(
    [f'{_VALUE.format(f"features.{name}")} AS "features.{name}"' for name in _NAMES]
    + [f"{_VALUE.format('score')} AS score"]
)
_VALUES = f"""
    CREATE TABLE value_panes AS
        SELECT model_id, pane_s, property, unnest(value) FROM (
            UNPIVOT (SELECT model_id, event_pane AS pane_s, {_SUMMARIES} FROM joined GROUP BY ALL)
            ON COLUMNS(* EXCLUDE (model_id, pane_s)) INTO NAME property VALUE value)
        WHERE value.count > 0"""


def build(source: Path, database: Path, *, typed: bool = False) -> None:
    """Compute all tables from the events in `source` into the new file `database`.

    Parameters
    ----------
    source : pathlib.Path
        A file as `benchmarks.workload` writes it; repeats and corrected labels are allowed.
    database : pathlib.Path
        A file that does not exist yet.
    typed : bool
        Keep the properties as typed columns instead of JSON.
    """
    properties = "features" if typed else "to_json(features)"
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET threads = 1")
        connection.execute(_READ, [str(source)])
        for script in (_PAIR, _EVENTS.format(properties=properties), _PANES, _SCORE_BINS, _VALUES):
            connection.execute(script)


def _main() -> None:
    parser = argparse.ArgumentParser(description="Compute the final tables by one DuckDB script.")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--typed", action="store_true", help="properties as columns, not as JSON")
    given = parser.parse_args()
    began = time.perf_counter()
    build(given.source, given.database, typed=given.typed)
    spent = time.perf_counter() - began
    with duckdb.connect(str(given.database), read_only=True) as connection:
        ((events,),) = connection.execute("SELECT count(*) FROM events").fetchall()
    print(f"{events:,} events in {spent:.2f} s: {spent / max(events, 1) * 1e6:.2f} µs an event")


if __name__ == "__main__":
    _main()
