"""`metric_values` against a naive evaluation of every window at every step.

The twin below keeps events in a list, walks over all steps one by one, adds the window's events up
in exact fractions and drops the repeats at the end. The view works on panes, in deltas of several
blocks, with counts that were taken back, and only on the steps at which something changes.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.metrics import METRIC_TYPES, metric_id
from engine.relations import VIEWS
from engine.rows import TABLES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
CLASSES = ("A", "B", "C")

Row = tuple[float | None, int, float | None]
Key = tuple[str, str, str | None, str, int]


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


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a store in memory, with tables and views."""
    with duckdb.connect(config={"threads": 2}) as con:
        for name, columns in TABLES.items():
            con.execute(f"CREATE TABLE {name}({columns}\n)")
        for name, select in VIEWS.items():
            con.execute(f"CREATE VIEW {name} AS {select}")
        yield con


# ---- the panes, as the writer would leave them -------------------------------------------------


def _pane(time_s: int) -> int:
    return time_s // PANE_S * PANE_S


def _label_time(event: Event) -> int | None:
    return None if event.delay_s is None else max(event.time_s, event.time_s + event.delay_s)


def _bases(event: Event) -> list[tuple[str, int]]:
    label_time = _label_time(event)
    return [("event", event.time_s)] + ([] if label_time is None else [("label", label_time)])


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    con.execute(f"TRUNCATE {table}")
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        marks = ", ".join("unnest(?)" for _ in columns)
        con.execute(f"INSERT INTO {table} SELECT {marks}", columns)


def _probability(event: Event, model: Model) -> float:
    """Probability of the true class, clipped as the writer does."""
    score = min(max(event.bin / 2000, 2.0**-52), 1 - 2.0**-52)
    if model.positive_property is not None:
        return score if CLASSES[event.label] == model.positive else 1 - score
    return score if event.label == event.prediction else 1 - score


def _write(con: duckdb.DuckDBPyConnection, events: list[Event]) -> None:
    totals: Counter[tuple[Any, ...]] = Counter()
    labelled: Counter[tuple[Any, ...]] = Counter()
    cells: Counter[tuple[Any, ...]] = Counter()
    bins: Counter[tuple[Any, ...]] = Counter()
    values: dict[tuple[Any, ...], list[float]] = {}
    errors: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    losses: dict[tuple[Any, ...], list[float]] = {}
    for event in events:
        model = MODELS[event.model]
        for basis, time_s in _bases(event):
            at = (model.id, basis, _pane(time_s))
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
            kind = "score" if model.positive_property is None else "positive"
            bins[*at, kind, *pair, event.bin, event.block] += 1
            losses.setdefault((*at, event.block), []).append(_probability(event, model))
            if event.numbers is not None:
                numbers = float(event.numbers[0]), float(event.numbers[1])
                errors.setdefault((*at, event.block), []).append(numbers)
        for number, value in enumerate(event.values):
            key = (model.id, _pane(event.time_s), f"features.f{number}", event.block)
            values.setdefault(key, []).append(float(value))
    _insert(con, "total_panes", [(*k[:3], n, labelled[k], k[3]) for k, n in totals.items()])
    _insert(con, "cell_panes", [(*k[:-1], n, k[-1]) for k, n in cells.items()])
    _insert(con, "score_bin_panes", [(*k[:-1], n, k[-1]) for k, n in bins.items()])
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


def _write_models(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("TRUNCATE models_known")
    con.execute("TRUNCATE model_classes")
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
        for name in CLASSES[: model.classes]:
            con.execute("INSERT INTO model_classes VALUES (?, ?)", [model.id, name])


def _write_clock(con: duckdb.DuckDBPyConnection, watermark_s: int | None, last_s: int) -> None:
    columns = {name for name, *_ in con.execute("DESCRIBE clock").fetchall()}
    numbers = ", ".join(f"0 AS {c}" for c in sorted(columns - {"watermark", "last_event"}))
    con.execute("TRUNCATE clock")
    con.execute(
        "INSERT INTO clock BY NAME SELECT make_timestamp(?::BIGINT * 1000000) AS watermark,"
        f" make_timestamp(?::BIGINT * 1000000) AS last_event, {numbers}",
        [watermark_s, last_s],
    )


# ---- the twin ----------------------------------------------------------------------------------


def _share(above: int | Fraction, below: int | Fraction) -> Fraction | None:
    return None if below == 0 else Fraction(above) / Fraction(below)


def _mean(values: list[Fraction | None]) -> Fraction | None:
    defined = [v for v in values if v is not None]
    return _share(sum(defined, Fraction(0)), len(defined))


def _one_class(pairs: list[tuple[int, int]], name: int) -> dict[str, Fraction | None]:
    tp = sum(y == name == x for y, x in pairs)
    fp = sum(y != name == x for y, x in pairs)
    fn = sum(x != name == y for y, x in pairs)
    tn = len(pairs) - tp - fp - fn
    return {
        "truePositiveRateMulticlass": _share(tp, tp + fn),
        "trueNegativeRateMulticlass": _share(tn, tn + fp),
        "falsePositiveRateMulticlass": _share(fp, tn + fp),
        "falseNegativeRateMulticlass": _share(fn, tp + fn),
        "precisionMulticlass": _share(tp, tp + fp),
        "f1Multiclass": _share(2 * tp, 2 * tp + fp + fn),
        "macroOvrAccuracy": _share(tp + tn, len(pairs)),
    }


def _binary(pairs: list[tuple[bool, bool]]) -> dict[str, Fraction | None]:
    counts = Counter(pairs)
    tp, fn, fp, tn = (
        counts[True, True],
        counts[True, False],
        counts[False, True],
        counts[False, False],
    )
    tpr, tnr = _share(tp, tp + fn), _share(tn, tn + fp)
    return {
        "accuracyRate": _share(tp + tn, len(pairs)),
        "balancedAccuracyRate": None if tpr is None or tnr is None else (tpr + tnr) / 2,
        "f1": _share(2 * tp, 2 * tp + fp + fn),
        "falseNegativeRate": _share(fn, tp + fn),
        "falsePositiveRate": _share(fp, tn + fp),
        "precision": _share(tp, tp + fp),
        "recall": tpr,
        "sensitivity": tpr,
        "specificity": tnr,
        "truePositiveRate": tpr,
        "trueNegativeRate": tnr,
    }


def _auc(ranked: list[tuple[bool, int]]) -> Fraction | None:
    positives = [b for positive, b in ranked if positive]
    negatives = [b for positive, b in ranked if not positive]
    won = sum(2 * (p > n) + (p == n) for p in positives for n in negatives)
    return _share(won, 2 * len(positives) * len(negatives))


def _calibration(scored: list[tuple[bool, int]]) -> Fraction | None:
    gaps = [Fraction(0)] * 10
    for correct, b in scored:
        gaps[min(b // 200, 9)] += int(correct) - Fraction(b, 2000)
    return _share(sum((abs(g) for g in gaps), Fraction(0)), len(scored))


def _regression(pairs: list[tuple[Fraction, Fraction]]) -> dict[str, float | Fraction | None]:
    n = len(pairs)
    squared = sum(((y - x) ** 2 for y, x in pairs), Fraction(0))
    mean = _share(sum((y for y, _ in pairs), Fraction(0)), n)
    spread = sum(((y - (mean or 0)) ** 2 for y, _ in pairs), Fraction(0))
    lost = _share(squared, spread)
    return {
        "rmse": None if n == 0 else math.sqrt(squared / n),
        "mae": _share(sum((abs(y - x) for y, x in pairs), Fraction(0)), n),
        "rSquared": None if lost is None else 1 - lost,
    }


def _positive(model: Model) -> str | None:
    return model.positive or ("B" if model.classes == 2 else None)


def _window(
    model: Model, basis: str, events: list[Event], ever: list[Event]
) -> dict[tuple[str, str | None], Row]:
    """Evaluate all metrics of one window; `ever`: all events of the model, for what exists."""
    known = [e for e in events if e.delay_s is not None]
    coverage = _share(len(known), len(events))
    positive = _positive(model)
    rows: dict[tuple[str, str | None], Row] = {}

    def put(name: str, value: float | Fraction | None, n: int, group: str | None = None) -> None:
        rows[name, group] = (
            None if value is None else float(value),
            n,
            None if coverage is None else float(coverage),
        )

    put("count", len(events), len(events))
    if basis == "event":
        for number in range(max((len(e.values) for e in ever), default=0)):
            x = [e.values[number] for e in events if len(e.values) > number]
            name = f"(features.f{number})"
            put("avg" + name, _share(sum(x, Fraction(0)), len(x)), len(x))
            put("min" + name, min(x, default=None), len(x))
            put("max" + name, max(x, default=None), len(x))
    if any(e.delay_s is not None and e.numbers is not None for e in ever):
        numbers = [e.numbers for e in known if e.numbers is not None]
        for name, value in _regression(numbers).items():
            put(name, value, len(numbers))
    if not any(e.delay_s is not None for e in ever):
        return rows
    n = len(known)
    pairs = [(e.label, e.prediction) for e in known]
    for name in ("accuracy", "accuracyRateMulticlass"):
        put(name, _share(sum(y == x for y, x in pairs), n), n)
    present = sorted({c for pair in pairs for c in pair})
    per_class = {c: _one_class(pairs, c) for c in present}
    for name in _one_class([], 0):
        put(name, _mean([per_class[c][name] for c in present]), n)
        if name != "macroOvrAccuracy":
            for c in present:
                put(name, per_class[c][name], n, CLASSES[c])
    by_score = model.positive_property is None
    if positive is not None:
        cut = model.threshold * 2000
        for name, value in _binary(
            [
                (
                    CLASSES[e.label] == positive,
                    CLASSES[e.prediction] == positive if by_score else e.bin >= cut,
                )
                for e in known
            ]
        ).items():
            put(name, value, n)
    if positive is not None or by_score:
        put(
            "calibrationError",
            _calibration(
                [
                    (e.label == e.prediction if by_score else CLASSES[e.label] == positive, e.bin)
                    for e in known
                ]
            ),
            n,
        )
    if not by_score or model.classes == 2:
        p = [_probability(e, model) for e in known]
        put("logLoss", math.fsum(-math.log(x) for x in p) / n if n else None, n)
        put("brierScore", math.fsum((1 - x) ** 2 for x in p) / n if n else None, n)
        if positive is not None:
            ranked = [
                (
                    CLASSES[e.label] == positive,
                    e.bin if not by_score or CLASSES[e.prediction] == positive else 2000 - e.bin,
                )
                for e in known
            ]
            put("auc", _auc(ranked), n)
    return rows


def _same(one: float | None, other: float | None, size: float = 0.0) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 1e-14 * max(abs(one), size)


def _naive(events: list[Event], watermark_s: int | None, last_s: int) -> dict[Key, Row]:
    expected: dict[Key, Row] = {}
    for number, model in enumerate(MODELS):
        mine = [e for e in events if e.model == number]
        step, lookback = model.step_s, model.lookback_s
        until = max((last_s // step + 1) * step, -(10**9) if watermark_s is None else watermark_s)
        for basis in ("event", "label"):
            timed = [(_pane(t), e) for e in mine for b, t in _bases(e) if b == basis]
            if not timed:
                continue
            before: dict[tuple[str, str | None], Row] = {}
            first = (min(t for t, _ in timed) // step) * step
            for end in range(first, until + 1, step):
                window = [e for t, e in timed if end - lookback <= t < end]
                now = _window(model, basis, window, mine)
                for name, group in sorted(now.keys() | before.keys(), key=str):
                    nothing = (0.0 if name == "count" else None, 0, None)
                    row, old = now.get((name, group), nothing), before.get((name, group), nothing)
                    size = 1.0 if name == "rSquared" else 0.0
                    if row[1:] != old[1:] or not _same(row[0], old[0], size):
                        expected[model.id, name, group, basis, end] = row
                before = now
    return expected


def _seconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(seconds=1)


def _read(con: duckdb.DuckDBPyConnection) -> dict[Key, tuple[Row, bool, int]]:
    found = con.execute(
        "SELECT model_id, metric_name, class_or_group, time_basis, window_end, value,"
        " sample_count, label_coverage, is_interim, window_start FROM metric_values"
    ).fetchall()
    rows = {
        (*r[:4], _seconds(r[4])): ((r[5], r[6], r[7]), r[8], _seconds(r[4]) - _seconds(r[9]))
        for r in found
    }
    assert len(rows) == len(found)
    return rows


def _compare(
    con: duckdb.DuckDBPyConnection, events: list[Event], watermark_s: int | None, last_s: int
) -> None:
    expected = _naive(events, watermark_s, last_s)
    found = _read(con)
    assert sorted(found, key=str) == sorted(expected, key=str)
    lookbacks = {m.id: m.lookback_s for m in MODELS}
    for key, (value, n, coverage) in expected.items():
        (got, got_n, got_coverage), interim, length = found[key]
        assert (got_n, got_coverage) == (n, coverage), key
        assert (got is None) == (value is None), key
        if value is not None:
            assert got == pytest.approx(value, rel=1e-12, abs=1e-12), key
        assert interim == (watermark_s is None or key[4] > watermark_s), key
        assert length == lookbacks[key[0]]


# ---- laws --------------------------------------------------------------------------------------

NUMBERS = st.integers(-6, 6).map(lambda n: Fraction(n, 4))


@st.composite
def _events(draw: Callable[..., Any]) -> Event:
    model = draw(st.integers(0, len(MODELS) - 1))
    classes = MODELS[model].classes
    return Event(
        model=model,
        time_s=draw(st.one_of(st.integers(-400, 600), st.integers(3000, 3400))),
        delay_s=draw(st.one_of(st.none(), st.integers(-100, 700))),
        label=draw(st.integers(0, classes - 1)),
        prediction=draw(st.integers(0, classes - 1)),
        bin=draw(
            st.one_of(
                st.integers(0, 2000),
                st.sampled_from([0, 199, 200, 999, 1000, 1001, 1139, 1140, 2000]),
            )
        ),
        values=tuple(draw(st.lists(NUMBERS, max_size=2))),
        numbers=draw(st.one_of(st.none(), st.tuples(NUMBERS, NUMBERS))),
        block=draw(st.integers(0, 3)),
        retracted=draw(st.booleans()),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    events=st.lists(_events(), max_size=40),
    lateness_s=st.one_of(st.none(), st.integers(0, 900)),
)
def test_law_metric_values_equal_every_window_evaluated_by_itself(
    con: duckdb.DuckDBPyConnection, events: list[Event], lateness_s: int | None
) -> None:
    times = [t for e in events for _, t in _bases(e)]
    last_s = max(times, default=0)
    watermark_s = None if lateness_s is None else last_s - lateness_s
    _write_models(con)
    _write(con, events)
    _write_clock(con, watermark_s, last_s)
    _compare(con, events, watermark_s, last_s)


# ---- single cases ------------------------------------------------------------------------------


def _busy(seed: int, count: int) -> list[Event]:
    """Give a dense stream: all models, half an hour, most events labelled late."""
    random = np.random.default_rng(seed)
    return [
        Event(
            model=(model := int(random.integers(len(MODELS)))),
            time_s=int(random.integers(1800)),
            delay_s=int(random.integers(600)) if random.random() < 0.8 else None,
            label=int(random.integers(MODELS[model].classes)),
            prediction=int(random.integers(MODELS[model].classes)),
            bin=int(random.integers(*((0, 2001) if random.random() < 0.5 else (998, 1003)))),
            values=(Fraction(int(random.integers(-40, 40)), 4),),
            numbers=(
                Fraction(int(random.integers(40)), 4),
                Fraction(int(random.integers(40)), 4),
            ),
            block=int(random.integers(5)),
            retracted=bool(random.random() < 0.2),
        )
        for _ in range(count)
    ]


def _fill(con: duckdb.DuckDBPyConnection, events: list[Event], watermark_s: int | None) -> int:
    last_s = max(t for e in events for _, t in _bases(e))
    _write_models(con)
    _write(con, events)
    _write_clock(con, watermark_s, last_s)
    return last_s


def test_oracle_busy_models(con: duckdb.DuckDBPyConnection) -> None:
    events = _busy(seed=7, count=600)
    last_s = _fill(con, events, 1700)
    _compare(con, events, 1700, last_s)


def test_law_rows_do_not_depend_on_the_layout_of_the_panes(con: duckdb.DuckDBPyConnection) -> None:
    events = _busy(seed=11, count=300)
    _fill(con, events, 1700)
    before = _read(con)
    for name in TABLES:
        if name.endswith("_panes"):
            con.execute(f"CREATE TEMP TABLE kept AS FROM {name}")
            con.execute(f"TRUNCATE {name}")
            con.execute(f"INSERT INTO {name} FROM kept ORDER BY hash(kept)")
            con.execute("DROP TABLE kept")
    assert _read(con) == before


@pytest.mark.parametrize(
    ("column", "value"),
    [("model_id", "two"), ("time_basis", "label"), ("metric_name", "auc"), ("metric_name", "f1")],
)
def test_law_a_filter_only_filters(con: duckdb.DuckDBPyConnection, column: str, value: str) -> None:
    _fill(con, _busy(seed=3, count=200), 1700)
    con.execute("CREATE OR REPLACE TEMP TABLE everything AS FROM metric_values")
    direct = con.execute(f"FROM metric_values WHERE {column} = ? ORDER BY ALL", [value]).fetchall()
    later = con.execute(f"FROM everything WHERE {column} = ? ORDER BY ALL", [value]).fetchall()
    assert direct
    assert direct == later


def test_golden_a_quiet_model_has_no_rows(con: duckdb.DuckDBPyConnection) -> None:
    event = Event(0, 30, None, 0, 0, 0, (), None, 0, retracted=False)
    _fill(con, [event], None)
    _write_clock(con, 10**9, 10**9)
    rows = con.execute(
        "SELECT epoch(window_end), value, sample_count, label_coverage, is_interim"
        " FROM metric_values ORDER BY window_end"
    ).fetchall()
    assert rows == [(60.0, 1.0, 1, 0.0, False), (360.0, 0.0, 0, None, False)]


def test_golden_rounding_is_no_change(con: duckdb.DuckDBPyConnection) -> None:
    """Both windows hold 0.1, 0.2 and 0.3, in an order in which their sums differ by an ulp."""
    events = [Event(2, 30 * pane, None, 0, 0, 0, (), None, 0, retracted=False) for pane in range(4)]
    _fill(con, events, None)
    for pane, value in enumerate((0.1, 0.2, 0.3, 0.1)):
        con.execute(
            "INSERT INTO value_panes VALUES ('declared', ?, 'x', 1, ?, 0, 1, 0)",
            [30 * pane, value],
        )
    assert (0.1 + 0.2) + 0.3 != (0.2 + 0.3) + 0.1
    ends = con.execute(
        "SELECT epoch(window_end) FROM metric_values WHERE metric_name = 'avg(x)' ORDER BY 1"
    ).fetchall()
    assert ends == [(30.0,), (60.0,), (90.0,)]


def test_golden_r_squared_of_equal_labels_is_undefined(con: duckdb.DuckDBPyConnection) -> None:
    """The mean of three times 0.1 is an ulp off: a spread that is only rounding is none."""
    mean = (0.1 + 0.1 + 0.1) / 3
    assert mean != 0.1
    events = [Event(0, 0, 0, 0, 0, 0, (), None, 0, retracted=False)]
    _fill(con, events, None)
    for pane, label_mean in ((0, mean), (60, 0.1)):
        con.execute(
            "INSERT INTO error_panes VALUES ('plain', 'event', ?, 3, 3.0, 3.0, ?, ?, 0)",
            [pane, label_mean, 3 * (0.1 - label_mean) ** 2],
        )
    values = con.execute(
        "SELECT DISTINCT metric_name, value FROM metric_values WHERE time_basis = 'event'"
        " AND metric_name IN ('rmse', 'rSquared') ORDER BY ALL"
    ).fetchall()
    assert ("rmse", 1.0) in values
    assert [v for name, v in values if name == "rSquared"] == [None]


def test_golden_sums_beyond_the_range_do_not_fail(con: duckdb.DuckDBPyConnection) -> None:
    events = [Event(0, 0, 0, 0, 0, 0, (), None, 0, retracted=False)]
    _fill(con, events, None)
    for block in (0, 1):
        con.execute(
            "INSERT INTO value_panes VALUES ('plain', 0, 'x', 1, 1e308, 1e308, 1e308, ?)", [block]
        )
        con.execute(
            "INSERT INTO error_panes VALUES ('plain', 'event', 0, 1, 1e308, 1, ?, 1e308, ?)",
            [-1e308 * block, block],
        )
    values = dict(
        con.execute(
            "SELECT metric_name, value FROM metric_values WHERE time_basis = 'event'"
            " AND sample_count > 0 AND metric_name IN ('avg(x)', 'max(x)', 'rSquared', 'mae')"
        ).fetchall()
    )
    assert values == {"avg(x)": math.inf, "max(x)": 1e308, "rSquared": None, "mae": 1.0}


def test_golden_a_threshold_is_rounded_up_to_a_thousandth(
    con: duckdb.DuckDBPyConnection,
) -> None:
    event = Event(3, 0, 0, 0, 0, 1140, (), None, 0, retracted=False)
    _fill(con, [event], None)
    recalls = []
    for threshold in (0.569, 0.5691, 0.57, 0.5701):
        con.execute(
            "UPDATE models_known SET threshold = ? WHERE model_id = 'probability'", [threshold]
        )
        recalls += con.execute(
            "SELECT value FROM metric_values WHERE metric_name = 'recall' AND sample_count > 0"
            " AND time_basis = 'event'"
        ).fetchall()
    assert recalls == [(1.0,), (1.0,), (1.0,), (0.0,)]


def test_contract_AR_45_every_metric_has_a_stable_id_and_a_type(
    con: duckdb.DuckDBPyConnection,
) -> None:
    _fill(con, _busy(seed=5, count=300), 1700)
    listed = con.execute("SELECT model_id, name, metric_id, type, function FROM metrics").fetchall()
    used = con.execute("SELECT DISTINCT model_id, metric_name, metric_id FROM metric_values")
    assert {row[:3] for row in listed} == set(used.fetchall())
    assert len({row[2] for row in listed}) == len(listed)
    for model_id, name, found, kind, function in listed:
        assert found == metric_id(model_id, name)
        assert kind in METRIC_TYPES
        assert function == name.partition("(")[0]
    types = {name: kind for model_id, name, _, kind, _ in listed if model_id == "two"}
    assert types["avg(features.f0)"] == "model_input_data_metric"
    assert types["f1"] == "model_performance_metric"


def test_golden_interim_rows_end_at_the_first_boundary_after_the_last_event(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """An event on a boundary opens the window behind it, not the one that it ends."""
    events = [Event(0, at, None, 0, 0, 0, (), None, 0, retracted=False) for at in (59, 120)]
    _fill(con, events, 60)
    rows = con.execute(
        "SELECT epoch(window_end), value, is_interim FROM metric_values ORDER BY window_end"
    ).fetchall()
    assert rows == [(60.0, 1.0, False), (180.0, 2.0, True)]
