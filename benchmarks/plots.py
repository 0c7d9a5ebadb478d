"""A year of hourly plot data: 31 columns of 100 choices, over all choices and choice by choice.

The table is filled as a long run leaves it: one row an hour and choice, and further deltas of the
last days. Next to it stands what a client would do with the rows themselves: fetch them and group
them in plain Python, once with averages of averages, which are wrong, and once right.
"""

import argparse
import resource
import time
from collections import defaultdict
from collections.abc import Callable

import duckdb
import numpy as np
import orjson

from benchmarks.rooms import best_s
from engine.processing.plot import PlotAnswer, PlotQuestion, plot_data
from engine.processing.processing_tables import PROCESSING_TABLES, RUN_TIMES

__all__: list[str] = []

_FIRST_S, _HOUR_S = 1_735_689_600, 3_600  # 2025-01-01
_NOW_US = 1_800_000_000 * 1_000_000
_WANTED_S = 0.2


def _store(choices: int, hours: int, deltas: int) -> duckdb.DuckDBPyConnection:
    """Make a store as the owner's, with `deltas` further rows of the last hours."""
    store = duckdb.connect(config={"threads": 1, "memory_limit": "640MB"})
    for name, columns in PROCESSING_TABLES.items():
        store.execute(f"CREATE TABLE {name} ({columns})")
    # An hour whose number of runs is 1 to 20, each with its times.
    amounts = ", ".join(
        f"total, total * (1 + hash(i, {nth}) % 900) / 7.0, (hash(i, {nth}, 1) % 7) / 7.0,"
        f" 900 + (hash(i, {nth}, 2) % 900) / 7.0"
        for nth in range(len(RUN_TIMES))
    )
    rows = (
        "SELECT 1 + nth % {choices} AS choice_id, {first} + nth // {choices} * 3600 AS hour_s,"
        " total - total // 8, total // 8, 0, total, total // 16, 0, total // 16, {amounts}, i"
        " FROM (SELECT i, {nth} AS nth, (1 + hash(i) % 20)::BIGINT AS total FROM range({n}) t(i))"
    )
    told = {"choices": choices, "first": _FIRST_S, "amounts": amounts}
    full = choices * hours
    store.execute("INSERT INTO run_hours " + rows.format(nth="i", n=full, **told))
    late = rows.format(nth=f"{full} - 1 - i % {min(full, 48 * choices)}", n=deltas, **told)
    store.execute("INSERT INTO run_hours " + late)
    store.execute(
        "INSERT INTO processing_choices SELECT 'job-types', i, 'type ' || i, '1.0'"
        f" FROM range(1, {choices + 1}) t(i)"
    )
    return store


Rows = list[tuple[float, int]]


def _pulled(store: duckdb.DuckDBPyConnection, of_hour: Callable[[Rows], float]) -> None:
    """Pull the rows and compute one column of averages in plain Python."""
    hours: defaultdict[int, Rows] = defaultdict(list)
    for hour, total, count in store.execute(
        "SELECT hour_s, queue_time_sum, queue_time_n FROM run_hours"
    ).fetchall():
        hours[hour].append((total, count))
    _ = [(hour, of_hour(found)) for hour, found in sorted(hours.items())]


def _of_averages(found: Rows) -> float:
    return sum(total / count for total, count in found) / len(found)


def _of_sums(found: Rows) -> float:
    return sum(total for total, _ in found) / sum(count for _, count in found)


def _error(store: duckdb.DuckDBPyConnection, answer: PlotAnswer) -> float:
    """Give how far the average of averages is from the truth at worst, of its size."""
    rows = store.execute(
        "SELECT avg(queue_time_sum / queue_time_n) FROM run_hours GROUP BY hour_s ORDER BY hour_s"
    ).fetchall()
    series = next(one for one in answer.series if one.column.name == "queue_time_avg")
    naive = np.array([row[0] for row in rows])
    return float(np.abs(naive / series.values - 1).max())


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure plot data.")
    parser.add_argument("--choices", type=int, default=100)
    parser.add_argument("--hours", type=int, default=8_760)
    parser.add_argument("--deltas", type=int, default=8_192, help="rows that are not merged yet")
    parser.add_argument("--runs", type=int, default=5, help="the best is printed")
    given = parser.parse_args()
    store = _store(given.choices, given.hours, given.deltas)
    question = PlotQuestion(catalogue="job-types", now_us=_NOW_US)
    by_choice = PlotQuestion(
        catalogue="job-types", now_us=_NOW_US, choice_ids=tuple(range(1, given.choices + 1))
    )
    answer = plot_data(store, question)
    points = sum(len(one.values) for one in answer.series)
    over_s = best_s(lambda: plot_data(store, question), given.runs)
    began_s = time.process_time()
    plot_data(store, question)
    worked_s = time.process_time() - began_s
    json_s = best_s(lambda: orjson.dumps(answer.to_json()), 1)
    naive_s = best_s(lambda: _pulled(store, _of_averages), 1)
    right_s = best_s(lambda: _pulled(store, _of_sums), 1)
    split = plot_data(store, by_choice)
    values = sum(len(one.values) for one in split.series)
    split_s = best_s(lambda: plot_data(store, by_choice), max(given.runs // 2, 1))
    rows = given.choices * given.hours + given.deltas
    columns = len(answer.series)
    print(f"{rows:,} rows of run_hours, {columns} columns, {given.choices} choices, one thread")
    for what, took_s in (
        (f"over all choices: {points:,} points", over_s),
        ("  of which this process worked", worked_s),
        ("  as JSON of the contract", json_s),
        (f"by choice, columns of numpy: {values:,} points", split_s),
        ("plain Python, one column, average of averages", naive_s),
        ("plain Python, one column, of sums", right_s),
    ):
        print(f"{what:<52}{took_s * 1e3:9,.0f} ms")
    print(f"{'ratio, column by column':<52}{right_s * columns / over_s:9,.0f} times as fast")
    print(f"averages of averages are off by up to {_error(store, answer):.0%}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 1e6:.2f} GB; wanted over all choices: {_WANTED_S * 1e3:.0f} ms")


if __name__ == "__main__":
    _main()
