"""`drift_values` and `drift_bins` against `engine.drift` over every window taken by itself.

The views roll counts from one end of a window to the next, in deltas of several blocks with counts
that were taken back, and look only at the ends at which something changes; the twin adds up every
window at every step and asks numpy.
"""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest
from drift_windows import PANE_S, SERIES, Delta, changed_rows, windows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metric_panes import write_clock

from engine.drift import MEASURES, contributions
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


def _define(con: duckdb.DuckDBPyConnection) -> None:
    """Declare all series in version 2, with all measures; version 1 had other bins."""
    names = ("drift_metrics", "binnings", "bin_edges", "bin_panes", "drift_thresholds", "rules_log")
    for name in names:
        con.execute(f"TRUNCATE {name}")
    for each in SERIES:
        for version in (2, 1):
            con.execute(
                "INSERT INTO binnings VALUES (?, ?, ?, ?, 'event', ?)",
                [each.binning, each.model, each.name, version, PANE_S],
            )
            for place, count in enumerate(each.reference):
                con.execute(
                    "INSERT INTO bin_edges VALUES (?, ?, ?, ?, ?, NULL, ?)",
                    [each.binning, version, place, place, place + 1, count * version // 2],
                )
        con.execute(
            "INSERT INTO bin_panes VALUES (?, 1, 0, 0, 1000, 0)", [each.binning]
        )  # of version 1
        for measure in (*MEASURES, "HypothesisTest"):
            con.execute(
                "INSERT INTO drift_metrics VALUES (?, ?, ?, ?, ?, ?, ?, true)",
                [each.metric(measure), each.model, each.name, measure, each.binning, *each.length],
            )


def _fill(con: duckdb.DuckDBPyConnection, deltas: list[Delta]) -> None:
    _define(con)
    for block, (number, pane, place, count) in enumerate(deltas):
        series = SERIES[number]
        bins = len(series.reference)
        con.execute(
            "INSERT INTO bin_panes VALUES (?, 2, ?, ?, ?, ?)",
            [series.binning, pane * PANE_S, place % bins, count, block],
        )


def _in_time(end: int, step_s: int, watermark_s: int | None, last_s: int) -> bool:
    return end - step_s <= last_s or (watermark_s is not None and end <= watermark_s)


def _near(value: float | None) -> Any:
    undefined = value is None or math.isnan(value)
    return None if undefined else pytest.approx(value, rel=1e-9, abs=1e-15)


def _seconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(seconds=1)


def _compare(
    con: duckdb.DuckDBPyConnection, deltas: list[Delta], watermark_s: int | None, last_s: int
) -> None:
    found = {
        (model, name, measure, _seconds(end)): (*rest, _seconds(end) - _seconds(start))
        for model, name, measure, start, end, *rest in con.execute(
            "SELECT model_id, property, measure, window_start, window_end, value, sample_count,"
            " is_interim, metric_id::VARCHAR, reference_version FROM drift_values"
        ).fetchall()
    }
    expected = {}
    for number, each in enumerate(SERIES):
        windows = windows_of(number, deltas)
        for measure in MEASURES:
            for end, row in changed_rows(number, measure, windows).items():
                if _in_time(end, each.step_s, watermark_s, last_s):
                    expected[each.model, each.name, measure, end] = row, each
    assert found.keys() == expected.keys()
    for key, ((value, size), each) in expected.items():
        got, *rest = found[key]
        assert got == _near(value), key
        interim = watermark_s is None or key[3] > watermark_s
        assert rest == [size, interim, each.metric(key[2]), 2, each.lookback_s], key


def _compare_bins(con: duckdb.DuckDBPyConnection, deltas: list[Delta]) -> None:
    found: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    for binning, end, *row in con.execute(
        "SELECT binning, window_end, bin, lower, upper, reference_count, target_count,"
        " reference_share, target_share, contribution FROM drift_bins ORDER BY bin"
    ).fetchall():
        found.setdefault((binning, _seconds(end)), []).append(tuple(row))
    for number, each in enumerate(SERIES):
        reference, bins = np.array(each.reference), len(each.reference)
        for end, counts in windows_of(number, deltas).items():
            size, base = int(counts.sum()), int(reference.sum())
            rows = found.pop((each.binning, end), [])
            if not rows:  # an empty window behind another empty one
                assert size == 0
                continue
            parts = contributions("PSI", reference, counts[None, :])[0]
            assert [row[:3] for row in rows] == [(b, b, b + 1) for b in range(bins)]
            assert [row[3:5] for row in rows] == list(zip(reference, counts, strict=True))
            shares = [(r / base if base else None) for r in each.reference]
            assert [row[5] for row in rows] == shares
            assert [row[6] for row in rows] == [(k / size if size else None) for k in counts]
            wanted = [
                None if math.isnan(x) else pytest.approx(x, rel=1e-9, abs=1e-15) for x in parts
            ]
            assert [row[7] for row in rows] == wanted
    assert found == {}


# ---- laws --------------------------------------------------------------------------------------

DELTAS = st.tuples(
    st.integers(0, len(SERIES) - 1),
    st.one_of(st.integers(-8, 30), st.integers(200, 220)),
    st.integers(0, 3),
    st.sampled_from([1, 1, 2, 40]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    deltas=st.lists(DELTAS, max_size=40),
    back=st.sets(st.integers(0, 39)),
    lateness_s=st.one_of(st.none(), st.integers(0, 400)),
)
def test_oracle_every_window_by_itself(
    con: duckdb.DuckDBPyConnection, deltas: list[Delta], back: set[int], lateness_s: int | None
) -> None:
    taken = [(*d[:3], -d[3]) for place, d in enumerate(deltas) if place in back]
    last_s = max((d[1] * PANE_S for d in deltas), default=0)
    watermark_s = None if lateness_s is None else last_s - lateness_s
    _fill(con, deltas + taken)
    write_clock(con, watermark_s, last_s)
    _compare(con, deltas + taken, watermark_s, last_s)
    write_clock(con, 10**6, last_s)
    _compare_bins(con, deltas + taken)


def _busy(seed: int) -> list[Delta]:
    random = np.random.default_rng(seed)
    return [
        (series, pane, int(random.integers(4)), int(random.integers(1, 30)))
        for pane in range(60)
        for series in range(len(SERIES))
        for _ in range(2)
    ]


def test_oracle_a_dense_stream(con: duckdb.DuckDBPyConnection) -> None:
    deltas = _busy(3)
    _fill(con, deltas)
    write_clock(con, 250, 299)
    _compare(con, deltas, 250, 299)
    write_clock(con, 10**6, 299)
    _compare_bins(con, deltas)


@pytest.mark.parametrize("relation", ["drift_values", "drift_bins"])
@pytest.mark.parametrize(
    "condition", ["model_id = 'n'", "property = 'finer'", "window_end = '1970-01-01 00:02:00'"]
)
def test_law_a_filter_only_filters(
    con: duckdb.DuckDBPyConnection, relation: str, condition: str
) -> None:
    _fill(con, _busy(5))
    write_clock(con, 250, 299)
    con.execute(f"CREATE OR REPLACE TEMP TABLE everything AS FROM {relation}")
    direct = con.execute(f"FROM {relation} WHERE {condition} ORDER BY ALL").fetchall()
    later = con.execute(f"FROM everything WHERE {condition} ORDER BY ALL").fetchall()
    assert direct
    assert direct == later


def test_law_the_bins_of_a_window_sum_to_its_psi(con: duckdb.DuckDBPyConnection) -> None:
    _fill(con, _busy(7))
    write_clock(con, 250, 299)
    rows = con.execute(
        "SELECT v.value, sum(b.contribution), v.sample_count, sum(b.target_count), count(*)"
        " FROM drift_values v LEFT JOIN drift_bins b USING (binning, window_start,"
        " window_end, reference_version) WHERE measure = 'PSI'"
        " GROUP BY v.model_id, v.property, v.window_end, v.value, v.sample_count"
    ).fetchall()
    assert len(rows) > 100
    for value, total, size, counted, bins in rows:
        assert total == _near(value)
        assert (size, bins > 1) == (counted, True)


@pytest.mark.parametrize("relation", ["drift_values", "drift_bins"])
def test_law_a_model_is_found_without_reading_the_others(
    con: duckdb.DuckDBPyConnection, relation: str
) -> None:
    """Of five row groups of 122,880 rows, one per series, the two of model m are read."""
    _define(con)
    con.execute(f"CREATE OR REPLACE TABLE bin_panes({TABLES['bin_panes']}\n)")
    for each in SERIES:
        con.execute(
            "INSERT INTO bin_panes SELECT ?, 2, 5 * (i % 40), i % 2, 1, i FROM range(122880) t(i)",
            [each.binning],
        )
    write_clock(con, 10**6, 200)
    query = f"SELECT * FROM {relation} WHERE model_id = 'm'"
    plan = con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()[0][1]
    scans = [
        (node["row_groups_scanned"], node["total_row_groups_to_scan"])
        for node in _nodes(json.loads(plan)["operator"][0])
        if node["extra_info"].get("Table", "").endswith("bin_panes")
    ]
    assert scans
    assert set(scans) == {(2, 5)}


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", []):
        yield from _nodes(child)


# ---- single cases ------------------------------------------------------------------------------


def test_golden_a_window_that_became_empty_has_one_row(con: duckdb.DuckDBPyConnection) -> None:
    _fill(con, [(1, 0, 0, 6)])
    write_clock(con, 10**6, 10**6)
    rows = con.execute(
        "SELECT epoch(window_start), epoch(window_end), value, sample_count, is_interim, threshold"
        " FROM drift_values WHERE measure = 'KLDivergence' ORDER BY window_end"
    ).fetchall()
    # p = (2.5, 2.5, 2.5) / 7.5 and q = (6.5, 0.5, 0.5) / 7.5
    kl = (13 * math.log(2.6) + 2 * math.log(0.2)) / 15
    assert rows == [
        (-20.0, 10.0, pytest.approx(kl, rel=1e-12), 6, False, None),
        (10.0, 40.0, None, 0, False, None),
    ]
    ends = con.execute("SELECT DISTINCT epoch(window_end) FROM drift_bins ORDER BY 1").fetchall()
    assert ends == [(10.0,), (20.0,), (30.0,), (40.0,)]


def test_golden_interim_rows_end_at_the_first_boundary_after_the_last_event(
    con: duckdb.DuckDBPyConnection,
) -> None:
    _fill(con, [(1, 0, 0, 6), (1, 3, 1, 2), (1, 4, 1, 2)])
    write_clock(con, 10, 24)
    query = (
        "SELECT epoch(window_end), sample_count, is_interim FROM drift_values"
        " WHERE measure = 'PSI' ORDER BY 1"
    )
    assert con.execute(query).fetchall() == [(10.0, 6, False), (20.0, 8, True), (30.0, 10, True)]


def test_golden_the_threshold_is_that_of_the_size_else_the_lowest_fixed_one(
    con: duckdb.DuckDBPyConnection,
) -> None:
    _fill(con, [(1, 0, 0, 3), (1, 2, 0, 3), (1, 4, 0, 30)])
    write_clock(con, 40, 30)
    metric = SERIES[1].metric("PSI")
    for version, lookback_s, low, high, threshold in (
        *((2, 30, 1, 5, 0.7), (2, 30, 6, 11, 0.5)),
        *((1, 30, 1, 100, 9.0), (2, 60, 1, 100, 9.0)),
    ):
        con.execute(
            "INSERT INTO drift_thresholds VALUES (?, ?, ?, ?, ?, ?)",
            [metric, version, lookback_s, low, high, threshold],
        )
    query = "SELECT sample_count, threshold FROM drift_values WHERE measure = ? ORDER BY 1"
    assert con.execute(query, ["PSI"]).fetchall() == [(3, 0.7), (6, 0.5), (33, None), (36, None)]
    for watched, threshold, in_force in (
        *((metric, 0.25, True), (metric, 0.2, True), (metric, None, True), (metric, 0.1, False)),
        (SERIES[1].metric("KLDivergence"), 0.3, True),
    ):
        con.execute(
            "INSERT INTO rules_log BY NAME SELECT 'r' AS rule_id, 1 AS rule_version, 'm' AS"
            " model_id, ? AS metric_id, '' AS name, 'upper' AS bound, ? AS threshold, '' AS"
            " severity, 30 AS lookback_s, 10 AS step_s, 0 AS wait_us, 0 AS hold_us, 'event' AS"
            " time_basis, true AS enabled, false AS is_default, '' AS on_no_data, 0 AS"
            " min_sample_count, 0 AS min_label_coverage, 1 AS group_limit, '' AS definition,"
            " ? AS in_force",
            [watched, threshold, in_force],
        )
    assert con.execute(query, ["PSI"]).fetchall() == [(3, 0.7), (6, 0.5), (33, 0.2), (36, 0.2)]
    assert {row[1] for row in con.execute(query, ["KLDivergence"]).fetchall()} == {0.3}
    assert {row[1] for row in con.execute(query, ["JSDivergence"]).fetchall()} == {None}


def test_contract_AR_F28_the_hypothesis_test_is_left_out(con: duckdb.DuckDBPyConnection) -> None:
    _fill(con, _busy(1))
    write_clock(con, 250, 299)
    found = con.execute("SELECT DISTINCT measure FROM drift_values ORDER BY 1").fetchall()
    assert found == [(name,) for name in sorted(MEASURES)]


def test_contract_columns(con: duckdb.DuckDBPyConnection) -> None:
    kinds = {}
    for relation in ("drift_values", "drift_bins"):
        found = con.execute(f"DESCRIBE {relation}").fetchall()
        kinds[relation] = {row[0]: row[1] for row in found}
    assert kinds["drift_values"] == {
        **dict.fromkeys(("model_id", "property", "measure", "binning"), "VARCHAR"),
        **dict.fromkeys(("window_start", "window_end"), "TIMESTAMP"),
        **dict.fromkeys(("value", "threshold"), "DOUBLE"),
        "metric_id": "UUID",
        "sample_count": "BIGINT",
        "reference_version": "INTEGER",
        "is_interim": "BOOLEAN",
    }
    assert kinds["drift_bins"] == {
        **dict.fromkeys(("model_id", "property", "category", "binning"), "VARCHAR"),
        **dict.fromkeys(("window_start", "window_end"), "TIMESTAMP"),
        **dict.fromkeys(("reference_version", "bin"), "INTEGER"),
        **dict.fromkeys(("lower", "upper", "contribution"), "DOUBLE"),
        **dict.fromkeys(("reference_share", "target_share"), "DOUBLE"),
        **dict.fromkeys(("reference_count", "target_count"), "BIGINT"),
    }
