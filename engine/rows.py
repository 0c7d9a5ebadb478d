"""The tables under the public relations: their columns, and what each row means.

Facts are append-only (`events_kept` and `events_bare`, read as the views `events_stored` and
`events_log`: `engine.kept`; `votes_log`, `outcomes`, `other_events`); what no longer holds is named
in `events_retired` and `outcomes_retired`, so that no wide row is ever rewritten. Every
`…_panes` table holds deltas: amounts that add up per (model, basis, pane). Whole counts are taken
back by a negative delta; sums of floats never are: their pane is computed anew from the events.

`pane_s` is the start of a pane in whole seconds since the epoch, a multiple of `settings.pane_s`.
`block_seq` is the `seq` of the first line of the block that wrote the row: the order of the deltas.
"""

import duckdb

from engine.anomaly_tables import ANOMALY_TABLES
from engine.change_tables import CHANGE_TABLES
from engine.jobs.job_tables import JOB_TABLES
from engine.kept import KEPT_TABLES, make_log
from engine.outbox import OUTBOX_TABLES
from engine.processing.processing_tables import PROCESSING_TABLES
from engine.produce_tables import PRODUCE_TABLES
from engine.rule_tables import RULE_TABLES
from engine.seen import SEEN_TABLES
from engine.steps.step_tables import STEP_TABLES
from engine.topics import TOPIC_TABLES

__all__ = ["SCHEMA_VERSION", "TABLES", "make_tables"]

SCHEMA_VERSION = 9

TABLES: dict[str, str] = {
    # ---- facts ------------------------------------------------------------------------------
    **KEPT_TABLES,
    "events_retired": "seq BIGINT NOT NULL",
    "votes_log": """
        seq BIGINT NOT NULL, key UBIGINT NOT NULL,
        model_id VARCHAR NOT NULL, event_id VARCHAR NOT NULL,
        voter VARCHAR NOT NULL,       -- empty: unnamed
        property VARCHAR NOT NULL,    -- empty: the label itself, else a name within `labels`
        label VARCHAR NOT NULL, label_number DOUBLE, vote_time TIMESTAMP NOT NULL""",
    "outcomes": """
        seq BIGINT NOT NULL,          -- running number of outcomes
        event_seq BIGINT NOT NULL,    -- events_log.seq
        property VARCHAR NOT NULL,    -- as in votes_log
        label VARCHAR,                -- NULL: undecided
        label_number DOUBLE,
        label_time TIMESTAMP,         -- when the standing votes last reached it
        label_source VARCHAR NOT NULL   -- votes, administrator or undecided
    """,
    "outcomes_retired": "seq BIGINT NOT NULL",
    "other_events": """
        seq BIGINT NOT NULL, type VARCHAR NOT NULL, model_id VARCHAR, job_id VARCHAR,
        event_id VARCHAR, event_time TIMESTAMP, received_time TIMESTAMP NOT NULL,
        partition_id INTEGER NOT NULL, position BIGINT NOT NULL, raw VARCHAR NOT NULL""",
    "rejects_log": """
        partition_id INTEGER NOT NULL, position BIGINT NOT NULL, received_time TIMESTAMP NOT NULL,
        reason VARCHAR NOT NULL, field VARCHAR, raw VARCHAR NOT NULL""",
    # ---- panes ------------------------------------------------------------------------------
    # time_basis is 'event' or 'label'; in the label basis every event counted is labelled.
    "total_panes": """
        model_id VARCHAR NOT NULL, time_basis VARCHAR NOT NULL, pane_s BIGINT NOT NULL,
        events BIGINT NOT NULL, labelled BIGINT NOT NULL, block_seq BIGINT NOT NULL""",
    "cell_panes": """
        model_id VARCHAR NOT NULL, time_basis VARCHAR NOT NULL, pane_s BIGINT NOT NULL,
        label VARCHAR NOT NULL, prediction VARCHAR NOT NULL,
        count BIGINT NOT NULL, block_seq BIGINT NOT NULL""",
    # kind 'score': bin of the confidence in the predicted class; kind 'positive': bin of the
    # model's positive_property. 2,001 bins: 2k holds the values equal to k/1000, 2k+1 those
    # between k/1000 and (k+1)/1000, so that 1 - score is bin 2000 - bin, exactly. Most counts are
    # one: a row holds all bins of a cell and stands for both time bases; the view
    # `_score_bin_panes` takes it apart.
    "score_bins": """
        model_id VARCHAR NOT NULL, event_pane_s BIGINT NOT NULL, label_pane_s BIGINT NOT NULL,
        kind VARCHAR NOT NULL, label VARCHAR NOT NULL, prediction VARCHAR,
        bins SMALLINT[] NOT NULL, counts BIGINT[] NOT NULL, block_seq BIGINT NOT NULL""",
    # event basis only; property is a qualified name, or prediction, score
    "value_panes": """
        model_id VARCHAR NOT NULL, pane_s BIGINT NOT NULL, property VARCHAR NOT NULL,
        count BIGINT NOT NULL, sum DOUBLE NOT NULL, min DOUBLE NOT NULL, max DOUBLE NOT NULL,
        block_seq BIGINT NOT NULL""",
    # both prediction and label are numbers; label_m2: sum of squares about label_mean
    "error_panes": """
        model_id VARCHAR NOT NULL, time_basis VARCHAR NOT NULL, pane_s BIGINT NOT NULL,
        count BIGINT NOT NULL, squared_error DOUBLE NOT NULL, absolute_error DOUBLE NOT NULL,
        label_mean DOUBLE NOT NULL, label_m2 DOUBLE NOT NULL, block_seq BIGINT NOT NULL""",
    # sums of -ln p and (1 - p)^2, p the probability given to the true class
    "probability_panes": """
        model_id VARCHAR NOT NULL, time_basis VARCHAR NOT NULL, pane_s BIGINT NOT NULL,
        count BIGINT NOT NULL, log_loss DOUBLE NOT NULL, brier DOUBLE NOT NULL,
        block_seq BIGINT NOT NULL""",
    # ---- definitions and the engine's small state -------------------------------------------
    "models_known": """
        model_id VARCHAR PRIMARY KEY, job_id VARCHAR, positive VARCHAR, positive_property VARCHAR,
        threshold DOUBLE, lookback_s BIGINT NOT NULL, step_s BIGINT NOT NULL,
        first_event TIMESTAMP         -- time of its first prediction, in order of lines
    """,
    "model_classes": """
        model_id VARCHAR NOT NULL, class VARCHAR NOT NULL,
        place INTEGER                 -- of a declared class in the matrix; NULL: learned
    """,
    "model_properties": "model_id VARCHAR NOT NULL, property VARCHAR NOT NULL",
    "partitions": """
        partition_id INTEGER PRIMARY KEY, source VARCHAR NOT NULL, partition VARCHAR NOT NULL,
        position BIGINT NOT NULL, max_event TIMESTAMP, watermark TIMESTAMP, idle BOOLEAN NOT NULL,
        events BIGINT NOT NULL, rejects BIGINT NOT NULL, state VARCHAR, updated_time TIMESTAMP,
        ended BOOLEAN DEFAULT false   -- nothing was left of it behind what was taken last
    """,
    "clock": """
        watermark TIMESTAMP,          -- overall; never goes back
        last_event TIMESTAMP,         -- greatest event time seen
        next_seq BIGINT NOT NULL, next_outcome BIGINT NOT NULL,
        small_blocks BIGINT NOT NULL, -- all blocks since the last look whether to merge deltas
        compacted_seq BIGINT NOT NULL -- deltas of blocks before it were looked at
    """,
    "settings": "name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL",
    **RULE_TABLES,
    **OUTBOX_TABLES,
    **ANOMALY_TABLES,
    **STEP_TABLES,
    **PROCESSING_TABLES,
    **JOB_TABLES,
    **CHANGE_TABLES,
    **TOPIC_TABLES,
    **PRODUCE_TABLES,
    **SEEN_TABLES,
}


def make_tables(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make all tables, and the log as it is read, in an empty database."""
    for name, columns in TABLES.items():
        cursor.execute(f"CREATE TABLE {name} ({columns})")
    make_log(cursor)
