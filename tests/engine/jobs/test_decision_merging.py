"""Merging keeps the rows near one a cell, without writing the table anew again and again.

A stream of ten events a second writes two blocks a second; in shuffled input each block has rows
for every hour there is. What a query reads must not grow with the blocks in either case, and what
is written must stay in proportion to what was counted.
"""

import random

import pyarrow as pa
import pytest
from harness import fresh_store

from engine.asking import number as asked
from engine.jobs.days import MERGED
from engine.jobs.decisions import Decisions

HOUR_US = 3_600_000_000


def block(hours, predictions, labels=None):
    count = len(hours)
    return pa.table(
        {
            "model_id": pa.array(["m"] * count, pa.string()),
            "job_id": pa.nulls(count, pa.string()),
            "event_us": pa.array([hour * HOUR_US + 7 for hour in hours], pa.int64()),
            "label": pa.array(labels or [None] * count, pa.string()),
            "label_number": pa.nulls(count, pa.float64()),
            "prediction": pa.array(predictions, pa.string()),
            "prediction_number": pa.nulls(count, pa.float64()),
            "fresh": pa.array([True] * count),
        }
    )


def fed(blocks):
    connection = fresh_store()
    decisions = Decisions(connection)
    for seq, rows in enumerate(blocks):
        decisions.count_fresh(rows, seq)
        decisions.merge()
    return connection


def number(connection, sql):
    return asked(connection, f"SELECT {sql} FROM decision_panes")


def test_golden_many_small_blocks_end_at_about_one_row_a_cell():
    """A block holds half an hour, as in a stream that is slow but goes on for long."""
    predictions = ["X", "Y", "X"]
    connection = fed(block([n // 2] * 3, predictions) for n in range(840))
    assert number(connection, "sum(count)") == 2_520
    assert number(connection, "count(*)") == 840  # two predictions in 420 hours
    assert number(connection, "count(*) FILTER (block_seq = -1)") == 840
    assert MERGED == -1


@pytest.mark.parametrize("hours", [50, 5_000])
def test_golden_shuffled_blocks_leave_a_bounded_number_of_rows_to_be_merged(hours):
    draw, most = random.Random(3), 0
    connection = fresh_store()
    decisions = Decisions(connection)
    for seq in range(30):
        at = [draw.randrange(hours) for _ in range(8_000)]
        decisions.count_fresh(block(at, [draw.choice("XYZ") for _ in at]), seq)
        decisions.merge()
        most = max(most, number(connection, "count(*) FILTER (block_seq >= 0)"))
    assert number(connection, "sum(count)") == 30 * 8_000
    assert most < 108_000


def test_law_few_deltas_do_not_write_a_large_table_anew():
    """One row in each of many hours of a thousand cells waits until it is worth it."""
    connection, cells = fresh_store(), 300
    hours = [hour for hour in range(130) for _ in range(cells)]
    decisions = Decisions(connection)
    decisions.count_fresh(block(hours, [f"c{n % cells}" for n in range(len(hours))]), 0)
    for _ in range(120):
        decisions.merge()
    assert number(connection, "count(*) FILTER (block_seq <> -1)") == 0
    for seq in range(121, 261):
        decisions.count_fresh(block([seq - 121 if seq < 251 else 0], ["c0"]), seq)
        decisions.merge()
    assert number(connection, "count(*) FILTER (block_seq <> -1)") == 140
    assert number(connection, "sum(count)") == len(hours) + 140


def test_law_a_new_owner_merges_what_the_last_one_left():
    connection = fresh_store()
    for seq in range(5):
        Decisions(connection).count_fresh(block([0], ["X"]), seq)
    decisions = Decisions(connection)
    for _ in range(120):
        decisions.merge()
    assert connection.execute("SELECT count, block_seq FROM decision_panes").fetchall() == [(5, -1)]
