"""Late labels that stand alone are settled as by the statements that settle all others.

Where an alert rule follows the rows all goes through the statements: so each stream is taken twice,
with a rule that never fires and without, and the tables must be the same.
"""

import itertools
import random

import duckdb
import pytest
from harness import confusion, encoded, events_relation, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import ModelSettings, RuleSettings, Settings, TimeSettings
from engine.decode import Decoder

START_MS = 1_700_000_040_000
HORIZON_MS = 120_000

_ids = st.integers(0, 9).map(str)
_values = st.sampled_from(["X", "Y", 1, 1.5])
_predictions = st.fixed_dictionaries(
    {
        "model_id": st.sampled_from(["m", "n"]),
        "id": _ids,
        "timestamp": st.just(START_MS),
        "prediction": _values,
    },
    optional={"label": _values, "score": st.sampled_from([0.25, 1.0]), "job_id": st.just("j")},
)
_votes = st.fixed_dictionaries(
    {
        "type": st.just("label"),
        "model_id": st.sampled_from(["m", "n"]),
        "id": _ids,
        # At the prediction's own time, within the horizon, at its end, and beyond.
        "timestamp": st.sampled_from([0, 7_000, HORIZON_MS, HORIZON_MS + 1, -HORIZON_MS - 1]).map(
            START_MS.__add__
        ),
    },
    optional={
        "label": _values,
        "labels": st.dictionaries(st.just("truth"), _values, min_size=1),
        "by": st.sampled_from(["ana", "root"]),
    },
).filter(lambda event: "label" in event or "labels" in event)
_events = st.lists(st.one_of(_predictions, _votes), min_size=1, max_size=30)

_RULE = RuleSettings("m", "count", "upper", 1e9, "warning", name="never", lookback_s=60)
_TABLES = {
    "votes_log": "*",
    "outcomes": "event_seq, property, label, label_number, label_time, label_source",
    "outcomes_retired": "*",
    "events_retired": "*",
    "total_panes": "model_id, time_basis, pane_s, events, labelled",
    "cell_panes": "model_id, time_basis, pane_s, label, prediction, count",
    "score_bins": "model_id, event_pane_s, label_pane_s, kind, label, prediction, bins, counts",
    "error_panes": "model_id, time_basis, pane_s, count, squared_error, absolute_error, label_mean",
    "probability_panes": "model_id, time_basis, pane_s, count, log_loss, brier",
    "decision_panes": "hour_s, model_id, job_id, label, prediction, label_source, count",
}


@pytest.fixture(scope="module")
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def tables(connection):
    found = {"events": events_relation(connection), "confusion": confusion(connection)}
    for name, columns in _TABLES.items():
        rows = connection.execute(f"SELECT {columns} FROM {name}").fetchall()
        found[name] = sorted(rows, key=repr)
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(_events, st.integers(0, 1 << 30), st.integers(1, 12))
def test_law_with_and_without_a_rule_the_tables_are_the_same(decoder, events, seed, cut):
    found = []
    for rules in ((), (_RULE,)):
        told = Settings(
            administrators=("root",),
            time=TimeSettings(label_horizon_us=HORIZON_MS * 1000),
            models=(ModelSettings("m"),),
            alert_rules=rules,
        )
        draw = random.Random(seed)
        cuts = iter(lambda draw=draw: draw.randint(1, cut), None)
        anew = lambda draw=draw: draw.random() < 0.1  # noqa: E731
        found.append(tables(run(decoder, encoded(events), cuts, told, anew)))
    assert found[0] == found[1]


def test_law_one_vote_a_prediction_in_its_block_and_behind_it(decoder):
    """All of them stand alone: a thousand, in blocks that hold both, one, and the other."""
    draw = random.Random(5)
    predictions = [
        {"model_id": "m", "id": n, "timestamp": START_MS + n, "prediction": draw.choice("XYZ")}
        | ({"label": "X"} if n % 3 == 0 else {})
        for n in range(1000)
    ]
    votes = [
        {
            "type": "label", "model_id": "m", "id": n, "label": draw.choice("XYZ"),
            "timestamp": START_MS + n + draw.choice([1, HORIZON_MS, HORIZON_MS + 1]),
        }
        for n in range(0, 1000, 2)
    ]  # fmt: skip
    lines = encoded(predictions[:600]) + encoded(votes[:200] + predictions[600:] + votes[200:])
    found = []
    for rules in ((), (_RULE,)):
        told = Settings(time=TimeSettings(label_horizon_us=HORIZON_MS * 1000), alert_rules=rules)
        found.append(tables(run(decoder, lines, itertools.repeat(300), told)))
    assert found[0] == found[1]
    assert len(found[0]["votes_log"]) == 500
    assert 250 < len(found[0]["outcomes"]) < 400


def test_golden_a_second_vote_is_not_alone(decoder):
    """One line a block: the votes of three people, then the same prediction again, then a vote."""
    prediction = {"model_id": "m", "id": "a", "timestamp": START_MS, "prediction": "X"}
    vote = {"type": "label", "model_id": "m", "id": "a", "timestamp": START_MS}
    lines = [
        prediction,
        vote | {"label": "X", "by": "ana"},
        vote | {"label": "Y", "by": "bob", "timestamp": START_MS + 2},
        vote | {"label": "Y", "by": "eve", "timestamp": START_MS + 3},
        prediction | {"prediction": "Z", "timestamp": START_MS + 1},
        vote | {"label": "Z", "by": "root", "timestamp": START_MS + 4},
    ]
    seen = []
    for count in range(1, len(lines) + 1):
        connection = run(decoder, encoded(lines[:count]), itertools.repeat(1))
        seen.append([row[3:] for row in events_relation(connection)])
    late = START_MS + 3
    assert seen == [
        [("X", None, None, None)],
        [("X", "X", START_MS, "votes")],
        [("X", None, None, "undecided")],
        [("X", "Y", late, "votes")],
        [("Z", "Y", late, "votes")],
        [("Z", "Z", START_MS + 4, "administrator")],
    ]


def test_law_a_restart_does_not_show_in_the_numbers_of_outcomes(decoder):
    """Behind it the votes on older predictions do not stand alone any more."""
    draw = random.Random(8)
    events = [
        {"model_id": "m", "id": n, "timestamp": START_MS + n, "prediction": draw.choice("XY")}
        for n in range(300)
    ]
    events += [
        {"type": "label", "model_id": "m", "id": draw.randrange(300), "label": draw.choice("XY"),
         "timestamp": START_MS + n, "by": draw.choice(["ana", "bob"])}
        for n in range(300)
    ]  # fmt: skip
    found = []
    for restarts in ((False,), (False, False, True, False), (True,)):
        told = Settings(administrators=("ana",))
        anew = itertools.cycle(restarts).__next__
        connection = run(decoder, encoded(events), itertools.repeat(50), told, anew)
        rows = [
            connection.execute(f"SELECT * FROM {name} ORDER BY seq").fetchall()
            for name in ("outcomes", "outcomes_retired", "votes_log")
        ]
        found.append(rows)
    assert found[0] == found[1] == found[2]
    assert len(found[0][0]) > 150
