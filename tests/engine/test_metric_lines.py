"""From lines to `metric_values`: accuracy and count over rolling windows against plain Python.

The rows of one metric are checked whole: which windows have a row, and what it says.
"""

import random

import duckdb
import naive
import pytest
from harness import encoded, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.decode import Decoder

START_MS = 1_700_000_040_000
STEP_S, LOOKBACK_S = 60, 300

_times = st.integers(0, 60).map(lambda step: START_MS + step * 17_000)
_base = {
    "model_id": st.sampled_from(["m", "n"]),
    "id": st.sampled_from("abcdef"),
    "timestamp": _times,
}
_classes = st.sampled_from(["X", "Y", "Z"])
_predictions = st.fixed_dictionaries(
    {**_base, "prediction": _classes}, optional={"label": _classes}
)
_labels = st.fixed_dictionaries({"type": st.just("label"), **_base, "label": _classes})


@pytest.fixture(scope="module")
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def expected(events, metric):
    """Rows (model, basis, window end s) -> (value, sample count, coverage) where they change."""
    counted = [(key[0], event["timestamp"]) for key, event in naive.winners(events).items()]
    labelled = [
        (model, {"event": time, "label": late}, label == prediction)
        for model, time, late, label, prediction, _ in naive.labelled(events)
    ]
    last_s = max(event["timestamp"] for event in events) // 1000
    ends = range(START_MS // 60_000 * 60, last_s // 60 * 60 + 61, STEP_S)
    rows = {}
    for model in {model for model, _ in counted}:
        if metric == "accuracy" and not any(each == model for each, *_ in labelled):
            continue
        for basis in ("event", "label"):
            before = (None if metric == "accuracy" else 0, 0, None)
            for end in ends:
                inside = range((end - LOOKBACK_S) * 1000, end * 1000)
                hits = [hit for each, at, hit in labelled if each == model and at[basis] in inside]
                total = sum(each == model and time in inside for each, time in counted)
                covered = (len(hits) / total if total else None) if basis == "event" else None
                if basis == "label":
                    covered, total = (1.0 if hits else None), len(hits)
                value = (sum(hits) / len(hits) if hits else None), len(hits), covered
                row = value if metric == "accuracy" else (total, total, covered)
                if row != before:
                    rows[model, basis, end] = row
                before = row
    return rows


def found(connection, metric):
    rows = connection.execute(
        "SELECT model_id, time_basis, epoch(window_end)::BIGINT, value, sample_count,"
        " label_coverage FROM metric_values WHERE metric_name = ?",
        [metric],
    ).fetchall()
    return {row[:3]: row[3:] for row in rows}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(_predictions, _labels), min_size=1, max_size=25), st.integers(0, 1 << 30))
def test_law_metric_values_follow_from_the_distinct_events(decoder, events, seed):
    random.Random(seed).shuffle(events)
    connection = run(decoder, encoded(events), iter(lambda: 7, None))
    for metric in ("accuracy", "count"):
        assert found(connection, metric) == expected(events, metric)
