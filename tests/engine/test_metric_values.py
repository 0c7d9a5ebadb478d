"""`metric_values` against a naive evaluation of every window at every step, and single cases.

The view works on panes, in deltas of several blocks, with counts that were taken back, and only on
the steps at which something changes; `naive_metrics` does none of this.
"""

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metric_panes import MODELS, Event, bases, write_clock, write_events, write_models
from naive_metrics import Key, Row, evaluate

from engine.metrics import METRIC_TYPES, metric_id
from engine.relations import VIEWS
from engine.rows import TABLES, make_tables

EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a store in memory, with tables and views."""
    with duckdb.connect(config={"threads": 2}) as con:
        make_tables(con)
        for name, select in VIEWS.items():
            con.execute(f"CREATE VIEW {name} AS {select}")
        yield con


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
    expected = evaluate(events, watermark_s, last_s)
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


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    events=st.lists(_events(), max_size=40),
    lateness_s=st.one_of(st.none(), st.integers(0, 900)),
)
def test_law_metric_values_equal_every_window_evaluated_by_itself(
    con: duckdb.DuckDBPyConnection, events: list[Event], lateness_s: int | None
) -> None:
    times = [t for e in events for _, t in bases(e)]
    last_s = max(times, default=0)
    watermark_s = None if lateness_s is None else last_s - lateness_s
    write_models(con)
    write_events(con, events)
    write_clock(con, watermark_s, last_s)
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
    last_s = max(t for e in events for _, t in bases(e))
    write_models(con)
    write_events(con, events)
    write_clock(con, watermark_s, last_s)
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
    write_clock(con, 10**9, 10**9)
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


def test_law_a_model_is_found_without_reading_the_others(con: duckdb.DuckDBPyConnection) -> None:
    """Every scan of a pane table carries the filter, through windows, joins and groups."""
    _fill(con, _busy(seed=2, count=200), 1700)
    query = "SELECT * FROM metric_values WHERE model_id = 'two'"
    plan = con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()[0][1]
    scans = [
        (table.rpartition(".")[2], "model_id = 'two'" in str(node["extra_info"].get("Filters")))
        for node in _nodes(json.loads(plan)["operator"][0])
        if (table := node["extra_info"].get("Table", "")).endswith("_panes")
    ]
    panes = {name for name in TABLES if name.endswith("_panes")} - {"bin_panes", "decision_panes"}
    assert {name for name, _ in scans} == panes
    assert [name for name, filtered in scans if not filtered] == []


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", []):
        yield from _nodes(child)
