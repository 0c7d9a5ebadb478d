"""Runs the engine over lines on a DuckDB in memory, for the tests of several rooms."""

import json

import duckdb

from engine.batch import Block
from engine.config import Settings
from engine.decode import canonical
from engine.monitor import Monitor
from engine.relations import VIEWS
from engine.rows import make_tables


def fresh_store():
    connection = duckdb.connect(config={"threads": 1})
    make_tables(connection)
    for name, select in VIEWS.items():
        connection.execute(f'CREATE VIEW "{name}" AS {select}')
    return connection


def run(decoder, lines, cuts, configuration=None, anew=lambda: False):
    """Feed the lines, cut into blocks of the given numbers of lines; gives the connection.

    Before a block of which `anew` says so another monitor is made, as after a restart.
    """
    connection = fresh_store()
    told = configuration or Settings(administrators=("root",)), 60, canonical
    monitor = Monitor(connection, *told)
    connection.execute("BEGIN")
    monitor.watch()
    connection.execute("COMMIT")
    at = position = 0
    while at < len(lines):
        count = next(cuts)
        data = b"".join(lines[at : at + count])
        connection.execute("BEGIN")
        if anew():
            monitor = Monitor(connection, *told)
            monitor.watch()
        monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
        connection.execute("COMMIT")
        at, position = at + count, position + len(data)
    return connection


def encoded(events):
    return [json.dumps(event).encode() + b"\n" for event in events]


def events_relation(connection):
    rows = connection.execute(
        "SELECT model_id, event_id, epoch_ms(event_time), prediction, label,"
        " epoch_ms(label_time), label_source FROM events"
    ).fetchall()
    return sorted(rows, key=repr)


def confusion(connection):
    rows = connection.execute(
        "SELECT model_id, time_basis, epoch(pane_start)::BIGINT, label, prediction, count"
        " FROM confusion_matrix"
    ).fetchall()
    return {tuple(row[:5]): row[5] for row in rows}
