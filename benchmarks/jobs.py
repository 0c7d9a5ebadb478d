"""Seconds that answers about a job take, beside the same question as plain SQL over `events`.

``python -m benchmarks.jobs [MILLIONS]`` stores that many events (10) of two models with three
classes and seven features in a folder of its own, as the owner of a data folder does; a quarter
carry their label, a tenth were voted on. With ``--plain`` the features are four numbers, and the
events are kept as numbers. ``python -m benchmarks.jobs hours`` fills a year of
`decision_panes` instead, as many as 50 million events leave.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa

from connectors.store import Store
from engine.jobs.decisions import merge_decisions
from engine.jobs.deployments import active_model
from engine.jobs.job_metrics import job_metrics
from engine.jobs.job_rules import JobRules
from engine.jobs.knowledge import knowledge_of
from engine.jobs.model_metrics import model_metrics
from engine.jobs.questions import parse_question
from engine.jobs.tally import Run, Statement
from engine.kept import make_log

START_US = 1_735_689_600_000_000
YEAR_US = 365 * 86_400_000_000
BLOCK = 500_000
RULES = JobRules(("root",))

_SHAPE = """
SELECT i AS seq, hash('m' || i % 2, 'event-' || i) AS key, 'm' || i % 2 AS model_id,
    'event-' || i AS event_id, make_timestamp({start} + i * {step}) AS event_time,
    ['Drop', 'Investigate', 'Escalate'][(1 + hash(i) % 3)::BIGINT] AS prediction,
    CASE WHEN i % 4 = 0 THEN
        ['Drop', 'Investigate', 'Escalate'][(1 + hash(i // 7) % 3)::BIGINT] END AS label,
    (hash(i, 's') % 1000) / 1000 AS score,
    ['Boston', 'Bern', 'Madrid', 'Osaka', 'Lima'][(1 + hash(i, 'c') % 5)::BIGINT] AS city,
    hash(i, 'a') % 100000 / 100 AS amount
FROM range({low}, {high}) t(i)
"""

_RAW = """
'{"model_id":"' || model_id || '","id":"' || event_id || '","timestamp":' || epoch_ms(event_time)
|| ',"prediction":"' || prediction || '","score":' || score
|| ',"features":{"city":"' || city || '","amount":' || amount || ',"words":' || (seq % 977)
|| ',"hour":' || (seq % 24) || ',"device":"d' || (seq % 31) || '","known":' || (seq % 2 = 0)
|| ',"age":' || (seq % 83) || '}}'
"""

_EVENTS = """
INSERT INTO events_kept SELECT seq, key, model_id, event_id, event_time, event_time, NULL,
    prediction, NULL, label, NULL, score, NULL, 'soc', NULL, NULL, 0, seq, {kept} FROM ({shape})
"""

_AS_JSON = f"{_RAW}, NULL, NULL"
_AS_NUMBERS = "NULL, 1, [amount, seq % 977, seq % 24, seq % 83]::DOUBLE[]"
_NAMES = ["features.amount", "features.words", "features.hour", "features.age"]

_VOTES = """
INSERT INTO votes_log SELECT seq, key, model_id, event_id, 'ana', '',
    ['Drop', 'Investigate', 'Escalate'][(1 + hash(seq, 'v') % 3)::BIGINT], NULL,
    event_time + INTERVAL 1 HOUR FROM ({shape}) WHERE seq % 10 = 3
"""

_OUTCOMES = """
INSERT INTO outcomes SELECT row_number() OVER (), seq, '',
    ['Drop', 'Investigate', 'Escalate'][(1 + hash(seq, 'v') % 3)::BIGINT], NULL,
    event_time + INTERVAL 1 HOUR, 'votes' FROM ({shape}) WHERE seq % 10 = 3
"""

_HOURS = """
INSERT INTO decision_panes SELECT 'm' || m, 'soc', {start} // 1000000 + h * 3600, label, prediction,
    source, 1 + hash(h, m, label, prediction, source) % 700, h
FROM range(8760) a(h), range(2) b(m),
    (VALUES ('Drop'), ('Investigate'), ('Escalate')) c(prediction),
    (VALUES (NULL, NULL), ('Drop', 'prediction'), ('Escalate', 'prediction'), ('Drop', 'votes'),
        ('Investigate', 'votes'), ('Escalate', 'votes'), (NULL, 'undecided')) d(label, source)
"""

QUESTIONS = {
    "prediction is": (("prediction", "is", "Escalate"), "prediction = 'Escalate'"),
    "label is": (("label", "is", "Drop"), "label = 'Drop'"),
    "score gt": (("score", "gt", 0.9), "score > 0.9"),
    "city is": (("features.city", "is", "Lima"), "properties->>'city' = 'Lima'"),
    "amount gt": (("amount", "gt", 900), "(properties->'amount')::DOUBLE > 900"),
    "city is not": (("city", "is not", "Lima"), "properties->>'city' <> 'Lima'"),
}

_PLAIN = """
SELECT label, prediction, label_source, count(*), min(event_time), max(event_time) FROM events
WHERE job_id = 'soc' AND {0} GROUP BY ALL
"""


def fill(cursor: duckdb.DuckDBPyConnection, count: int, *, plain: bool) -> None:
    step, kept = YEAR_US // count, _AS_NUMBERS if plain else _AS_JSON
    cursor.execute("INSERT INTO shapes VALUES (1, ?)", [_NAMES])
    make_log(cursor)
    for low in range(0, count, BLOCK):
        shape = _SHAPE.format(start=START_US, step=step, low=low, high=min(low + BLOCK, count))
        cursor.execute("BEGIN")
        cursor.execute(_EVENTS.format(kept=kept, shape=shape))
        cursor.execute(_VOTES.format(shape=shape))
        cursor.execute(_OUTCOMES.format(shape=shape))
        cursor.execute("COMMIT")
    cursor.execute("CHECKPOINT")


def taken(work: Callable[[], object], times: int = 3) -> float:
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def parallel(store: Store, threads: int = 2) -> Run:
    """Run statements on some cursors of the same database, each on a thread of its own."""

    def one(statement: Statement) -> pa.Table:
        cursor = store.readers().cursor()
        try:
            return cursor.sql(statement[0], params=dict(statement[1])).to_arrow_table()
        finally:
            cursor.close()

    def run(statements: Sequence[Statement]) -> list[pa.Table]:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, statements))

    return run


def deploy(cursor: duckdb.DuckDBPyConnection) -> None:
    for seq, model in enumerate(("m0", "m1")):
        cursor.execute(
            "INSERT INTO deployments_log VALUES (?, ?, 'soc', 'deployed', make_timestamp(?))",
            [seq, model, START_US + YEAR_US // 2 + seq],
        )


def measure_events(store: Store, millions: float, *, plain: bool) -> None:
    cursor = store.cursor
    began = time.perf_counter()
    fill(cursor, int(millions * 1e6), plain=plain)
    cursor.execute(_HOURS.format(start=START_US))
    merge_decisions(cursor)
    deploy(cursor)
    print(f"{millions:g} million events stored in {time.perf_counter() - began:.0f} s")
    active = active_model(cursor, "soc")
    assert active is not None
    began = time.perf_counter()
    knowledge = knowledge_of(cursor, "soc", active, RULES)
    base_s = time.perf_counter() - began
    print(f"{'knowledge base':24}  {base_s:8.3f} s for its {knowledge.total} events")
    run = parallel(store)
    for name, (each, sql) in QUESTIONS.items():
        if plain and "city" in name:
            continue
        entry = dict(zip(("field", "operator", "value"), each, strict=True))
        question = parse_question({"job_id": "soc", "filters": [entry]})
        one_s = taken(lambda q=question: job_metrics(cursor, q, RULES, knowledge), 2)
        two_s = taken(lambda q=question: job_metrics(cursor, q, RULES, knowledge, run), 2)
        sql_s = taken(lambda p=sql: cursor.execute(_PLAIN.format(p)).fetchall(), 1)
        print(
            f"{name:24}  {one_s:8.3f} s alone, {two_s:.3f} s on 2 threads,"
            f" plain SQL {sql_s:.3f} s: {sql_s / one_s:.1f} times as long"
        )
    measure_range(cursor, knowledge)


def measure_range(cursor: duckdb.DuckDBPyConnection, knowledge: object) -> None:
    told = {"start_datetime": "2025-02-01T00:10:00", "end_datetime": "2025-10-01T10:20:00"}
    for name, more in (("no filter", {}), ("no filter, a range", told)):
        question = parse_question({"job_id": "soc"} | more)
        took = taken(lambda q=question: job_metrics(cursor, q, RULES, knowledge), 5)
        print(f"{name:24}  {took * 1000:8.1f} ms")


def measure_hours(store: Store) -> None:
    cursor = store.cursor
    cursor.execute(_HOURS.format(start=START_US))
    merge_decisions(cursor)
    deploy(cursor)
    rows, events = cursor.execute("SELECT count(*), sum(count) FROM decision_panes").fetchall()[0]
    print(f"{rows} rows of hours stand for {events / 1e6:.0f} million events")
    metrics = model_metrics(cursor, "soc", RULES, 0)
    measure_range(cursor, metrics.knowledge)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", nargs="?", default="10")
    arguments.add_argument("--plain", action="store_true")
    told = arguments.parse_args()
    what = told.what
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        if what == "hours":
            measure_hours(store)
        else:
            measure_events(store, float(what), plain=told.plain)


if __name__ == "__main__":
    main()
