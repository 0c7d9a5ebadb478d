"""Runs the real command, and reads what it left behind, for the tests from end to end."""

import contextlib
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from engine.relations import VIEWS

COMMAND = [sys.executable, "-m", "flows"]
PUBLIC = [name for name in VIEWS if not name.startswith("_")]
# Functions of the distinct events alone (DESIGN §3), and those that only repeats leave alone.
LAWFUL = ("events", "confusion_matrix", "metric_values")
CLOCK = {"received_time", "updated_time", "processing_time_ms", "sent_time", "attempts"}
START_MS = 1_700_000_040_000
START_US = START_MS * 1000


def bellwether(*words, stdin=b"", folder=None, timeout=60):
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=timeout,
        cwd=folder,
    )


def done(*words, **more):
    """Run a command that must succeed; gives its summary, the last line of standard error."""
    ended = bellwether(*words, **more)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stderr.decode().splitlines()[-1] if ended.stderr else ""


@contextlib.contextmanager
def running(*words, **more):
    """A command that goes on; killed when it still runs at the end."""
    with subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


def stopped(process, number=signal.SIGTERM, within_s=3.0):
    """Stop it; gives its standard error."""
    began = time.monotonic()
    process.send_signal(number)
    code = process.wait(20)
    took_s = time.monotonic() - began
    told = process.stderr.read().decode()
    assert code == 0, told
    assert took_s < within_s
    return told


def eventually(condition, within_s=10.0):
    """Wait until a condition gives something true; gives that, and the seconds it took."""
    began = time.monotonic()
    while not (found := condition()):
        took_s = time.monotonic() - began
        assert took_s < within_s, "it never came true"
        time.sleep(0.02)
    return found, time.monotonic() - began


def owned(data):
    """Whether an owner of the data folder answers queries."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((Path(data) / "lock").read_text())
        return facts if Path(facts.get("socket", "/nowhere")).exists() else None
    return None


def ask(data, sql):
    """Ask through the real command; rows as dicts."""
    ended = bellwether("sql", sql, "--data", data, "--format", "ndjson")
    assert ended.returncode == 0, ended.stderr.decode()
    return [json.loads(line) for line in ended.stdout.splitlines()]


def relations(data, names=None, without=()):
    """Relations of a data folder that nobody owns, without the clock's own columns, sorted."""
    with duckdb.connect(str(Path(data) / "bellwether.duckdb"), read_only=True) as connection:
        found = {}
        for name in PUBLIC if names is None else names:
            columns = [row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()]
            kept = [column for column in columns if column not in CLOCK | set(without)]
            chosen = ", ".join(f'"{column}"' for column in kept)
            rows = connection.execute(f'SELECT {chosen} FROM "{name}"').fetchall()
            found[name] = sorted(rows, key=repr)
        return found


PANES = {
    "total_panes": "model_id, time_basis, pane_s, sum(events) AS n, sum(labelled)",
    "_score_bin_panes": "* EXCLUDE (count, block_seq), sum(count) AS n",
    "value_panes": "model_id, pane_s, property, sum(count) AS n, sum(sum)::float",
    "error_panes": "model_id, time_basis, pane_s, sum(count) AS n, sum(squared_error)::float",
    "probability_panes": "model_id, time_basis, pane_s, sum(count) AS n, sum(brier)::float",
}


def digests(data, without=(), names=None):
    """Number of rows and a hash over each relation, and over the panes under `metric_values`.

    For large streams, where `metric_values` has millions of rows; floats to 24 bits in the panes.
    """
    found = {}
    with duckdb.connect(str(Path(data) / "bellwether.duckdb"), read_only=True) as connection:
        for name in names or [name for name in PUBLIC if name != "metric_values"]:
            columns = [row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()]
            kept = [f'"{each}"' for each in columns if each not in CLOCK | set(without)]
            found[name] = _digest(connection, f'SELECT {", ".join(kept)} FROM "{name}"')
        for name, columns in PANES.items():
            found[name] = _digest(
                connection, f"SELECT {columns} FROM {name} GROUP BY ALL HAVING n <> 0"
            )
    return found


def _digest(connection, select):
    return connection.execute(f"SELECT count(*), sum(hash(t)) FROM ({select}) t").fetchone()


def one(data, sql):
    with duckdb.connect(str(Path(data) / "bellwether.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchone()


def rows(data, sql):
    with duckdb.connect(str(Path(data) / "bellwether.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def lawful(data):
    """The relations that are functions of the distinct events alone, without their order."""
    return relations(data, LAWFUL, without=("seq", "position"))


def assert_same(found, expected):
    """Counts and texts exactly, floats to 1e-9."""
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        assert len(found[name]) == len(wanted), name
        # Sorted without the floats, whose last digits may differ.
        pairs = zip(*(sorted(rows, key=_exact) for rows in (found[name], wanted)), strict=True)
        for ours, theirs in pairs:
            assert _exact(ours) == _exact(theirs), name
            for a, b in zip(_floats(ours), _floats(theirs), strict=True):
                assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12), (name, ours, theirs)


def assert_equal(found, expected):
    """Relations cell for cell; tells few rows, as pytest would think for minutes about many."""
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        if found[name] == wanted:
            continue
        ours, theirs = set(map(repr, found[name])), set(map(repr, wanted))
        differing = sorted(ours - theirs)[:3], sorted(theirs - ours)[:3]
        pytest.fail(f"{name}: {len(found[name])} rows, not {len(wanted)}; {differing}")


def _exact(row):
    return repr([None if isinstance(value, float) else value for value in row])


def _floats(row):
    return [value for value in row if isinstance(value, float)]


def encoded(events):
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def prediction(number, **more):
    return {
        "model_id": "m",
        "id": f"e{number}",
        "timestamp": START_MS + number * 1000,
        "prediction": "ab"[number % 2],
        **more,
    }


def vote(number, label, at_ms=None, **more):
    return {
        "type": "label",
        "model_id": "m",
        "id": f"e{number}",
        "timestamp": START_MS + number * 1000 if at_ms is None else at_ms,
        "label": label,
        **more,
    }
