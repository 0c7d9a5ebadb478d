"""The knowledge base of a model: the events whose label was known when the model was deployed.

The label of an event at the time T of the deployment is the outcome of its votes with a time up to
T, by the rules of `engine.consensus`; without any admissible vote until then the label inside the
prediction, if the event is not later than T. An event that was undecided, or whose label is a
number with a fraction, is not in it. Whether the event has a decision does not matter.

What was voted on after T is decided anew from the earlier votes; for all other events the outcome
that is stored is the one of T (`engine.jobs.knowledge_sql`). So the cost grows with the stored
events up to T: 0.4 µs each, and 3 µs for every event of the base that names no bucket. Events
never leave the database, and what is aggregated can go to its temporary folder.

A bucket (`engine.jobs.event_buckets`) counts for one decision: the label that most of its events
have here; of equal ones that with the latest label, then the greatest by name. An event *changed*
when its label is another one now, or undecided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from engine.jobs.deployments import ActiveModel, in_job_sql, mapped_models
from engine.jobs.feature_names import feature_names
from engine.jobs.filters import compile_filters
from engine.jobs.job_rules import JobRules
from engine.jobs.knowledge_sql import IN_TIME, base_sql, changed_sql, late_sql
from engine.jobs.questions import MAX_TOP, JobQuestion
from engine.jobs.rows_of_job import rows_sql

__all__ = [
    "CHANGED",
    "MAX_CHANGED",
    "Knowledge",
    "changed_among",
    "knowledge_of",
    "no_knowledge",
]

MAX_CHANGED = 10_000
"""Changed events that are listed of a base, the latest; the number of all is told beside them."""

_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("seq", pa.int64()),  # of the event
    ("event_us", pa.int64()),
    ("changed_us", pa.int64()),  # time of its last standing vote
    ("event_id", pa.string()),
    ("bucket", pa.string()),
]
CHANGED = pa.schema(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A knowledge base in counts, and which of its events changed.

    Attributes
    ----------
    model_id : str
    deployed_us : int or None
        T, µs; None: never deployed, and nothing is known.
    events, buckets : mapping of str to int
        By decision.
    changed : pyarrow.Table
        `CHANGED`, latest change first, then by id: all, or the first and the last one of every
        bucket that can be asked for.
    changed_total : int
        How many there are.
    """

    model_id: str
    deployed_us: int | None
    events: Mapping[str, int] = field(default_factory=dict)
    buckets: Mapping[str, int] = field(default_factory=dict)
    changed: pa.Table = field(default_factory=CHANGED.empty_table)
    changed_total: int = 0

    @property
    def total(self) -> int:
        """Events in the knowledge base."""
        return sum(self.events.values())

    @property
    def complete(self) -> bool:
        """Whether every event that changed is listed."""
        return self.changed_total == len(self.changed)


def no_knowledge(model_id: str) -> Knowledge:
    """Give the knowledge base of a model that was never deployed: nothing."""
    return Knowledge(model_id, None)


def knowledge_of(
    cursor: duckdb.DuckDBPyConnection,
    job_id: str,
    model: ActiveModel,
    rules: JobRules,
    most: int = MAX_CHANGED,
) -> Knowledge:
    """Gather the knowledge base of a job's model.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Only read from.
    job_id : str
    model : ActiveModel
    rules : JobRules
    most : int
        Changed events that are listed.
    """
    if model.deployed_us is None:
        return no_knowledge(model.model_id)
    inside, values, names = _asked(cursor, job_id, model.deployed_us, rules)
    sql = f"WITH {base_sql(inside, names)}, {changed_sql()}, {_AGREED} {_COUNTS}"
    rows = cursor.sql(sql, params={**values, "most": most}).to_arrow_table()
    return Knowledge(
        model.model_id,
        model.deployed_us,
        _counts(rows, "events"),
        _counts(rows, "buckets"),
        _listed(rows),
        _counts(rows, "total")[""],
    )


def changed_among(
    cursor: duckdb.DuckDBPyConnection,
    question: JobQuestion,
    model: ActiveModel,
    rules: JobRules,
    most: int = MAX_CHANGED,
) -> tuple[pa.Table, int]:
    """List the changed events of a base that a question selects, and tell how many there are.

    Parameters and order are those of `knowledge_of`. For a base with more changed events than are
    listed: those that were voted on after the deployment are looked at again.
    """
    if model.deployed_us is None:
        return CHANGED.empty_table(), 0
    inside, values, names = _asked(cursor, question.job_id, model.deployed_us, rules)
    wheres = ["TRUE"]
    for name, sign, time_us in (("start", ">=", question.start_us), ("end", "<", question.end_us)):
        if time_us is not None:
            wheres.append(f"e.event_time {sign} make_timestamp(${name}_us)")
            values[f"{name}_us"] = time_us
    events = f"SELECT e.* FROM events_log e SEMI JOIN any_changed USING (seq) WHERE {_and(wheres)}"
    predicates = compile_filters(question.filters)
    for predicate in predicates:
        values |= predicate.parameters
    rows = f"({rows_sql(events)}) r WHERE {_and(['TRUE', *(each.sql for each in predicates)])}"
    chosen = f"SELECT * FROM any_changed WHERE seq IN (SELECT r.seq FROM {rows})"
    parts = f"{late_sql(inside, names)}, {changed_sql('any_changed')}"
    sql = f"WITH {parts}, changed AS MATERIALIZED ({chosen}) {_CHANGED}"
    found = cursor.sql(sql, params={**values, "most": most}).to_arrow_table()
    return _listed(found), _counts(found, "total")[""]


def _and(conditions: Sequence[str]) -> str:
    return " AND ".join(f"({each})" for each in conditions)


def _asked(
    cursor: duckdb.DuckDBPyConnection, job_id: str, deployed_us: int, rules: JobRules
) -> tuple[str, dict[str, object], tuple[str, ...] | None]:
    """Give what tells the job's events, the parameters, and names of features."""
    inside, own = in_job_sql("e", job_id, mapped_models(cursor, job_id))
    times = {"deployed": deployed_us, "horizon_us": rules.horizon_us}
    names = feature_names(cursor, f"{inside} AND {IN_TIME}", {**own, **times})
    return inside, {**own, **times, "administrators": list(rules.administrators)}, names


def _listed(rows: pa.Table) -> pa.Table:
    found = rows.filter(pc.field("kind") == "changed").select(CHANGED.names).cast(CHANGED)
    return found.sort_by(_LATEST)


def _counts(rows: pa.Table, kind: str) -> dict[str, int]:
    found = rows.filter(pc.field("kind") == kind)
    counts = found["count"].to_numpy().tolist()
    return dict(sorted(zip(found["label"].to_numpy().tolist(), counts, strict=True)))


_LATEST: list[tuple[str, Literal["ascending", "descending"]]] = [
    ("changed_us", "descending"),
    ("event_id", "ascending"),
    ("seq", "ascending"),
]

# The label of a bucket is in the lowest digits of the greatest number: of events (41 bits), then of
# the time (60 bits, from 18 thousand years before 1970), then of the label's place by name (26).
# What is aggregated has a fixed size, so that it can go to the disk.
_AGREED = """
places AS MATERIALIZED (
    SELECT label, row_number() OVER (ORDER BY label) - 1 AS place
    FROM (SELECT DISTINCT label FROM cells)
), agreed AS (
    SELECT max((c.events::HUGEINT << 86) + ((c.label_us + (1::BIGINT << 59))::HUGEINT << 26)
        + p.place) & ((1::HUGEINT << 26) - 1) AS place
    FROM cells c JOIN places p USING (label) WHERE c.bucket IS NOT NULL GROUP BY c.bucket
)"""

# Beside the latest changes, the last one of each of the buckets that changed last is kept.
_CHANGED = f"""
SELECT 'changed' AS kind, NULL::VARCHAR AS label, NULL::BIGINT AS count,
    seq, event_us, changed_us, event_id, bucket FROM changed
WHERE seq IN (SELECT seq FROM changed ORDER BY changed_us DESC, event_id, seq LIMIT $most)
    OR seq IN (SELECT max_by(seq, (changed_us, seq)) FROM changed WHERE bucket IS NOT NULL
               GROUP BY bucket ORDER BY max(changed_us) DESC, bucket LIMIT {MAX_TOP})
UNION ALL SELECT 'total', '', count(*), NULL, NULL, NULL, NULL, NULL FROM changed"""

_COUNTS = f"""{_CHANGED}
UNION ALL SELECT 'events', label, sum(events)::BIGINT, NULL, NULL, NULL, NULL, NULL
FROM cells GROUP BY label
UNION ALL SELECT 'buckets', p.label, a.count, NULL, NULL, NULL, NULL, NULL
FROM (SELECT place, count(*) AS count FROM agreed GROUP BY place) a JOIN places p USING (place)"""
