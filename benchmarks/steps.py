"""A million step metrics from file to commit, next to one DuckDB script that upserts them.

The script is told what Bellwether has to find out: the names and types of all fields, and that no
line is bad. It keeps the value in force of each (job, name, step) in one table with that key, and
nothing of what was replaced. Both are processes from start to exit, one thread, a database file.

Then the questions: the latest values of all jobs at once, of one job, and a page of an experiment.
"""

import argparse
import tempfile
from pathlib import Path

import duckdb

from benchmarks.process import bellwether, measure, module
from benchmarks.rooms import best_s, say
from engine.steps.experiments import experiment_metrics
from engine.steps.step_queries import latest, latest_of_jobs, snapshots

__all__: list[str] = []

JOBS = 10_000
NAMES = 10
EXPERIMENTS = 20

# Every job logs its ten names at one step after the other; one value in a hundred is logged twice.
_LINES = f"""
    SELECT '{{{{"type":"metric","job_id":' || job || ',"name":"metric_' || name || '","value":'
        || hash(i) / 18446744073709551616.0 || ',"step":' || step || ',"timestamp":'
        || (1700000000000 + i * 10) || ',"experiment_id":"experiment-' || job % {EXPERIMENTS}
        || '"}}}}' AS line
    FROM (SELECT i, j % {JOBS} AS job, j // {JOBS} % {NAMES} AS name,
            j // {JOBS * NAMES} AS step
        FROM (SELECT i, i - if(i % 100 = 99, 1, 0) AS j FROM range({{lines}}) t(i)))"""

_TABLE = """
    CREATE TABLE steps (job_id VARCHAR, name VARCHAR, step BIGINT, value DOUBLE,
        experiment_id VARCHAR, time TIMESTAMP, PRIMARY KEY (job_id, name, step))"""

_UPSERT = """
    INSERT INTO steps
    SELECT job_id, name, coalesce(step, 0), value::DOUBLE, experiment_id,
        make_timestamp_ms(timestamp)
    FROM read_ndjson(?, columns = {job_id: 'VARCHAR', name: 'VARCHAR', step: 'BIGINT',
        value: 'VARCHAR', experiment_id: 'VARCHAR', timestamp: 'BIGINT'})
    QUALIFY row_number() OVER (PARTITION BY job_id, name, step ORDER BY timestamp DESC) = 1
    ON CONFLICT DO UPDATE SET value = excluded.value, experiment_id = excluded.experiment_id,
        time = excluded.time"""


def _write(path: Path, lines: int) -> None:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(
            f"COPY ({_LINES.format(lines=lines)}) TO '{path}'"
            " (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\t')"
        )


def _plain(source: Path, database: Path) -> None:
    with duckdb.connect(str(database), config={"threads": 1}) as connection:
        connection.execute(_TABLE)
        connection.execute(_UPSERT, [str(source)])


def _ask(database: Path, table: str) -> tuple[int, float]:
    """Give the rows of a relation, and the sum of their values."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(f"SELECT count(*), sum(value) FROM {table}").fetchall()[0]


def _questions(database: Path) -> None:
    with duckdb.connect(str(database), read_only=True, config={"threads": 1}) as connection:
        rows = latest_of_jobs(connection).num_rows
        asked = {
            f"latest of all jobs, {rows:,} values": lambda: latest_of_jobs(connection),
            "latest of one job": lambda: latest(connection, 77),
            "history of one metric": lambda: snapshots(connection, 77, "metric_3"),
            "a page of an experiment": lambda: experiment_metrics(
                connection, "experiment-7", sort_by="lastModifiedOn", search="name:metric_1"
            ),
        }
        for name, ask in asked.items():
            print(f"{name:<44} {best_s(ask) * 1e3:8.1f} ms")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Rates and times of step metrics.")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--plain", type=Path, nargs=2, metavar=("SOURCE", "DATABASE"))
    given = parser.parse_args()
    if given.plain:
        _plain(*given.plain)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, data, plain = folder / "steps.ndjson", folder / "data", folder / "plain.duckdb"
        _write(source, given.lines)
        ours = measure(bellwether(source, data))
        theirs = measure(module("benchmarks.steps", "--plain", source, plain))
        kept = _ask(data / "bellwether.duckdb", "step_metrics")
        expected = _ask(plain, "steps")
        if kept[0] != expected[0] or abs(kept[1] - expected[1]) > 1e-9 * expected[1]:
            msg = f"rows and sum of step_metrics must be {expected}, got {kept}"
            raise RuntimeError(msg)
        say("bellwether run", ours.seconds, "DuckDB script", theirs.seconds, given.lines)
        print(f"{'bellwether run':<44} {given.lines / ours.seconds:8,.0f} lines a second")
        _questions(data / "bellwether.duckdb")


if __name__ == "__main__":
    _main()
