"""Random rows of the tables of hours and what they must be plotted as, for the tests of plots."""

import math
from collections import defaultdict

import duckdb

from engine.processing.hours import choice_of
from engine.processing.processing_tables import INGEST_AMOUNTS, PROCESSING_TABLES, RUN_TIMES

HOUR_S = 3_600
FIRST_S = 1_700_000_400 // HOUR_S * HOUR_S
NOW_US = (FIRST_S + 1_000 * HOUR_S) * 1_000_000

COUNTS = {
    "job-types": (
        *("completed", "failed", "canceled", "total"),
        *("error_system", "error_data", "error_algorithm"),
    ),
    "ingests": ("deferred", "ingested", "errored", "duplicate", "total"),
    "errors": ("total",),
}
AMOUNTS = {"job-types": RUN_TIMES, "ingests": INGEST_AMOUNTS, "errors": ()}
TABLES = {"job-types": "run_hours", "ingests": "ingest_hours", "errors": "error_hours"}


def plot_store():
    """Give a store with nothing but the tables of processing: it is there at once."""
    store = duckdb.connect(config={"threads": 1})
    for name, columns in PROCESSING_TABLES.items():
        store.execute(f"CREATE TABLE {name} ({columns})")
    return store


def names_of(catalogue, count):
    """Give names of choices; of job types also versions, and one of two without."""
    if catalogue != "job-types":
        return [(f"choice {n}", None) for n in range(count)]
    return [(f"type {n // 2}", "1.0" if n % 2 else None) for n in range(count)]


def delta(chance, catalogue):
    """Give counts and, by amount, the values of the events behind one row."""
    total = int(chance.integers(1, 5))
    counts = {name: int(chance.integers(0, total + 1)) for name in COUNTS[catalogue]}
    counts["total"] = total
    values = {}
    for name in AMOUNTS[catalogue]:
        some = int(chance.integers(0, total + 1))
        scale = float(chance.choice([0.0, 1.0, 1e6, -3.5]))
        values[name] = [float(x) * scale for x in chance.integers(-3, 4, some)]
    return counts, values


def declare(store, catalogue, name, version=None):
    """Name a choice; gives its id."""
    choice = choice_of(catalogue, name, version)
    told = [catalogue, choice, name, version]
    store.execute("INSERT INTO processing_choices VALUES (?, ?, ?, ?)", told)
    return choice


def write(store, catalogue, place, counts, values):
    choice, hour_s = place
    row = [choice, hour_s, *(counts.get(name, 0) for name in COUNTS[catalogue])]
    for name in AMOUNTS[catalogue]:
        told = values.get(name, [])
        row += [len(told), math.fsum(told), min(told, default=None), max(told, default=None)]
    marks = ", ".join("?" * (len(row) + 1))
    store.execute(f"INSERT INTO {TABLES[catalogue]} VALUES ({marks})", [*row, 0])


def fill(store, catalogue, chance, choices=4, hours=6):
    """Write random deltas in random order; gives what is behind them by (choice, hour)."""
    behind = defaultdict(list)
    rows = []
    for name, version in names_of(catalogue, choices):
        choice = declare(store, catalogue, name, version)
        for hour in range(hours):
            place = (choice, FIRST_S + hour * HOUR_S)
            count = int(chance.integers(0, 4))
            rows += [(place, *delta(chance, catalogue)) for _ in range(count)]
    for at in chance.permutation(len(rows)):
        write(store, catalogue, *rows[at])
        behind[rows[at][0]].append(rows[at][1:])
    return dict(behind)


def naive(behind, column, choices=None, low_s=-math.inf, high_s=math.inf):
    """Give the points (hour, choice or None, value) of a column, event by event."""
    found = defaultdict(list)
    for (choice, hour), deltas in behind.items():
        if low_s <= hour <= high_s and (choices is None or choice in choices):
            found[hour, None if choices is None else choice] += deltas
    points = []
    for (hour, choice), deltas in sorted(
        found.items(), key=lambda one: (one[0][0], one[0][1] or 0)
    ):
        value = value_of(column, deltas)
        if value is not None:
            points.append((hour, choice, value))
    return points


def value_of(column, deltas):
    stem, _, kind = column.rpartition("_")
    if kind == "count":
        return sum(counts[stem] for counts, _ in deltas)
    values = [value for _, told in deltas for value in told[stem]]
    if not values:
        return None
    if kind == "avg":
        return math.fsum(values) / len(values)
    return {"sum": math.fsum, "min": min, "max": max}[kind](values)


def points_of(series):
    """Give a series as `naive` does."""
    ids = series.choice_ids
    told = [None] * len(series.values) if ids is None else ids.tolist()
    return list(
        zip(series.times.astype("int64").tolist(), told, series.values.tolist(), strict=True)
    )


def filled(catalogue, chance, **sizes):
    store = plot_store()
    return store, fill(store, catalogue, chance, **sizes)
