"""The law of pairing: relations are functions of the distinct events, however they came."""

import math
import random

import duckdb
import naive
import pytest
from harness import confusion, encoded, events_relation, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import Settings
from engine.decode import Decoder, canonical
from engine.monitor import Monitor

START_MS = 1_700_000_040_000

_ids = st.sampled_from(["a", "b", "c", "d"])
_models = st.sampled_from(["m", "n"])
_times = st.integers(0, 20).map(lambda step: START_MS + step * 17_000)
_classes = st.sampled_from(["X", "Y", "Z"])
_values = st.one_of(_classes, st.sampled_from([0, 1, 1.5, True, 2.0]))

_predictions = st.fixed_dictionaries(
    {"model_id": _models, "id": _ids, "timestamp": _times, "prediction": _values},
    optional={
        "label": _values,
        "score": st.sampled_from([0.0, 0.25, 0.5, 0.123, 1.0]),
        "features": st.dictionaries(
            st.sampled_from(["f", "g", 'q"x'.replace('"', "'")]),
            st.one_of(st.integers(-5, 5), st.floats(-1e6, 1e6), st.just("text")),
            max_size=2,
        ),
    },
)
_labels = st.fixed_dictionaries(
    {
        "type": st.just("label"),
        "model_id": _models,
        "id": _ids,
        "timestamp": _times,
        "label": _values,
    },
    optional={"by": st.sampled_from(["ana", "bob", "eve", "root"])},
)
_events = st.lists(st.one_of(_predictions, _labels), min_size=1, max_size=25)


@pytest.fixture(scope="module")
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def compare_values(connection, expected):
    rows = connection.execute(
        "SELECT model_id, pane_s, property, sum(count), sum(sum), min(min), max(max)"
        " FROM value_panes GROUP BY ALL HAVING sum(count) <> 0"
    ).fetchall()
    found = {tuple(row[:3]): row[3:] for row in rows}
    assert found.keys() == expected.keys()
    for key, numbers in expected.items():
        count, total, low, high = found[key]
        assert (count, low, high) == (len(numbers), min(numbers), max(numbers))
        assert math.isclose(
            total,
            math.fsum(numbers),
            rel_tol=1e-9,
            abs_tol=1e-9 * max(map(abs, numbers), default=0),
        )


def compare_sums(connection, events):
    """Errors and probabilities per pane against plain sums over the labelled events."""
    errors, probabilities = {}, {}
    for model, time, late, label, prediction, event in naive.labelled(events, ("root",)):
        score = event.get("score")
        for basis, at in (("event", time), ("label", late)):
            key = model, basis, at // 60_000 * 60
            if naive.number(label) is not None and naive.number(prediction) is not None:
                errors.setdefault(key, []).append(float(label) - float(prediction))
            if score is not None and naive.is_class(label) and naive.is_class(prediction):
                right = naive.class_text(label) == naive.class_text(prediction)
                probabilities.setdefault(key, []).append(score if right else 1 - score)
    rows = connection.execute(
        "SELECT model_id, time_basis, pane_s, sum(count), sum(squared_error), sum(absolute_error)"
        " FROM error_panes GROUP BY ALL"
    ).fetchall()
    assert {row[:3] for row in rows} == errors.keys()
    for *key, count, squared, absolute in rows:
        expected = errors[tuple(key)]
        assert count == len(expected)
        assert squared == pytest.approx(sum(e * e for e in expected), rel=1e-9)
        assert absolute == pytest.approx(sum(abs(e) for e in expected), rel=1e-9)
    rows = connection.execute(
        "SELECT model_id, time_basis, pane_s, sum(count), sum(brier)"
        " FROM probability_panes GROUP BY ALL"
    ).fetchall()
    assert {row[:3] for row in rows} == probabilities.keys()
    for *key, count, brier in rows:
        expected = probabilities[tuple(key)]
        assert count == len(expected)
        assert brier == pytest.approx(sum((1 - p) ** 2 for p in expected), rel=1e-9, abs=1e-12)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(_events, st.integers(0, 1 << 30), st.integers(1, 9), st.integers(0, 4))
def test_law_relations_depend_on_the_distinct_events_alone(decoder, events, seed, cut, repeats):
    shuffled = events + [random.Random(seed + n).choice(events) for n in range(repeats)]
    random.Random(seed).shuffle(shuffled)
    draw = random.Random(seed)
    cuts = iter(lambda: draw.randint(1, cut), None)
    connection = run(decoder, encoded(shuffled), cuts, anew=lambda: draw.random() < 0.2)
    assert events_relation(connection) == naive.events_relation(events, ("root",))
    assert confusion(connection) == naive.confusion(events, ("root",))
    compare_values(connection, naive.values(events))
    compare_sums(connection, events)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(_events, st.integers(0, 1 << 30))
def test_law_a_recount_changes_nothing(decoder, events, seed):
    random.Random(seed).shuffle(events)
    connection = run(decoder, encoded(events), iter(lambda: 4, None))
    before = events_relation(connection), confusion(connection)
    monitor = Monitor(connection, Settings(administrators=("root",)), 60, canonical)
    connection.execute("BEGIN")
    monitor.recount()
    connection.execute("COMMIT")
    assert (events_relation(connection), confusion(connection)) == before
    compare_values(connection, naive.values(events))
    compare_sums(connection, events)
