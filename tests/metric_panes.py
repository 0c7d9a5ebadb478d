"""Events of models as the tests draw them, and their panes as the writer would leave them.

Deltas lie in several blocks, and some counts were taken back.
"""

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import duckdb

CLASSES = ("A", "B", "C")


@dataclass(frozen=True)
class Model:
    """How one model of the test is declared."""

    id: str
    lookback_s: int
    step_s: int
    classes: int
    positive: str | None = None
    positive_property: str | None = None
    threshold: float = 0.5


@dataclass(frozen=True)
class Event:
    """One event: times in seconds, score bins of 0 to 2000, numbers that are multiples of 1/4."""

    model: int
    time_s: int
    delay_s: int | None
    label: int
    prediction: int
    bin: int
    values: tuple[Fraction, ...]
    numbers: tuple[Fraction, Fraction] | None
    block: int
    retracted: bool


MODELS = (
    Model("plain", 300, 60, 3),
    Model("two", 120, 60, 2),
    Model("declared", 90, 30, 3, positive="B"),
    Model("probability", 240, 120, 2, positive="A", positive_property="p", threshold=0.57),
    Model("gaps", 60, 120, 2),
    Model("unlike", 150, 60, 3, positive_property="p"),
)
PANE_S = 30


def pane_of(time_s: int) -> int:
    return time_s // PANE_S * PANE_S


def label_time(event: Event) -> int | None:
    return None if event.delay_s is None else max(event.time_s, event.time_s + event.delay_s)


def bases(event: Event) -> list[tuple[str, int]]:
    time_s = label_time(event)
    return [("event", event.time_s)] + ([] if time_s is None else [("label", time_s)])


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    con.execute(f"TRUNCATE {table}")
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        marks = ", ".join("unnest(?)" for _ in columns)
        con.execute(f"INSERT INTO {table} SELECT {marks}", columns)


def _insert_bins(con: duckdb.DuckDBPyConnection, bins: Counter[tuple[Any, ...]]) -> None:
    con.execute("TRUNCATE score_bins")
    if bins:
        columns = [list(column) for column in zip(*bins, strict=True)]
        places = ", ".join("unnest(?)" for _ in range(6))
        con.execute(
            f"INSERT INTO score_bins SELECT {places}, [unnest(?)], [unnest(?)], unnest(?)",
            [*columns[:7], list(bins.values()), columns[7]],
        )


def probability(event: Event, model: Model) -> float:
    """Probability of the true class, clipped as the writer does."""
    score = min(max(event.bin / 2000, 2.0**-52), 1 - 2.0**-52)
    if model.positive_property is not None:
        return score if CLASSES[event.label] == model.positive else 1 - score
    return score if event.label == event.prediction else 1 - score


def write_events(con: duckdb.DuckDBPyConnection, events: list[Event]) -> None:
    totals: Counter[tuple[Any, ...]] = Counter()
    labelled: Counter[tuple[Any, ...]] = Counter()
    cells: Counter[tuple[Any, ...]] = Counter()
    bins: Counter[tuple[Any, ...]] = Counter()
    values: dict[tuple[Any, ...], list[float]] = {}
    errors: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    losses: dict[tuple[Any, ...], list[float]] = {}
    for event in events:
        model = MODELS[event.model]
        for basis, time_s in bases(event):
            at = (model.id, basis, pane_of(time_s))
            totals[*at, event.block] += 1
            if event.delay_s is None:
                continue
            labelled[*at, event.block] += 1
            pair = CLASSES[event.label], CLASSES[event.prediction]
            cells[*at, *pair, event.block] += 1
            if event.retracted:  # once counted under another label, then taken back
                other = CLASSES[(event.label + 1) % model.classes], pair[1]
                cells[*at, *other, event.block] += 1
                cells[*at, *other, event.block + 1] -= 1
            losses.setdefault((*at, event.block), []).append(probability(event, model))
            if event.numbers is not None:
                numbers = float(event.numbers[0]), float(event.numbers[1])
                errors.setdefault((*at, event.block), []).append(numbers)
        if event.delay_s is not None:
            kind = "score" if model.positive_property is None else "positive"
            panes = pane_of(event.time_s), pane_of(label_time(event))
            pair = CLASSES[event.label], CLASSES[event.prediction]
            bins[model.id, *panes, kind, *pair, event.bin, event.block] += 1
        for number, value in enumerate(event.values):
            key = (model.id, pane_of(event.time_s), f"features.f{number}", event.block)
            values.setdefault(key, []).append(float(value))
    _insert(con, "total_panes", [(*k[:3], n, labelled[k], k[3]) for k, n in totals.items()])
    _insert(con, "cell_panes", [(*k[:-1], n, k[-1]) for k, n in cells.items()])
    _insert_bins(con, bins)
    _insert(
        con,
        "value_panes",
        [(*k[:3], len(x), sum(x), min(x), max(x), k[3]) for k, x in values.items()],
    )
    _insert(con, "error_panes", [(*k[:3], *_errors(x), k[3]) for k, x in errors.items()])
    _insert(
        con,
        "probability_panes",
        [
            (*k[:3], len(p), sum(-math.log(x) for x in p), sum((1 - x) ** 2 for x in p), k[3])
            for k, p in losses.items()
        ],
    )


def _errors(pairs: list[tuple[float, float]]) -> tuple[int, float, float, float, float]:
    mean = sum(y for y, _ in pairs) / len(pairs)
    return (
        len(pairs),
        sum((y - x) ** 2 for y, x in pairs),
        sum(abs(y - x) for y, x in pairs),
        mean,
        sum((y - mean) ** 2 for y, _ in pairs),
    )


def write_models(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("TRUNCATE models_known")
    for model in MODELS:
        con.execute(
            "INSERT INTO models_known BY NAME SELECT ? AS model_id, ? AS positive,"
            " ? AS positive_property, ? AS threshold, ? AS lookback_s, ? AS step_s",
            [
                model.id,
                model.positive,
                model.positive_property,
                model.threshold,
                model.lookback_s,
                model.step_s,
            ],
        )


def write_clock(con: duckdb.DuckDBPyConnection, watermark_s: int | None, last_s: int) -> None:
    columns = {name for name, *_ in con.execute("DESCRIBE clock").fetchall()}
    numbers = ", ".join(f"0 AS {c}" for c in sorted(columns - {"watermark", "last_event"}))
    con.execute("TRUNCATE clock")
    con.execute(
        "INSERT INTO clock BY NAME SELECT make_timestamp(?::BIGINT * 1000000) AS watermark,"
        f" make_timestamp(?::BIGINT * 1000000) AS last_event, {numbers}",
        [watermark_s, last_s],
    )
