"""What a drift rule saw of a window is what the drift query says of it, to 1e-12.

The real engine follows rules over a stream that begins with a reference set, cut into blocks and
opened again in between; the query reads what was stored. Both bin, but one rolls counts.
"""

import itertools
import json
import random

import duckdb
import pytest
from harness import encoded, fresh_store

from engine.batch import Block
from engine.config import MetricSettings, ModelSettings, RuleSettings, Settings
from engine.decode import Decoder, canonical
from engine.drift import MEASURES
from engine.monitor import Monitor
from engine.query.check import truths_of
from engine.query.columns import rows_sql
from engine.query.drift_answer import drift_answer
from engine.query.drift_frozen import Evaluation
from engine.query.drift_parse import parse_drift
from engine.query.names import ModelNames
from engine.query.parse_defaults import default_query

START_MS = 1_700_000_000_000 // 3_600_000 * 3_600_000
LOOKBACK_S, STEP_S = 600, 60
UNSEEN = ModelNames("m", complete=False)
BOSTON = [{"property": "city", "comparator": "eq", "value": "Boston"}]
LABELLED = [{"property": "label", "comparator": "NotNull"}]
CUSTOM = {
    "psi of temperature in Boston": {
        "properties": ["temperature"], "num_bins": 20, "base": {"source": "reference"},
        "target": {"source": "inference", "filter": BOSTON},
    },
    "both in Boston": {
        "properties": ["features.temperature"], "metric": "HellingerDistance",
        "base": {"filter": BOSTON}, "target": {"filter": BOSTON},
    },
    "test of few in Boston": {
        "properties": ["temperature"], "metric": "HypothesisTest",
        "base": {"filter": BOSTON}, "target": {"filter": BOSTON},
    },
    "channels": {"properties": ["channel"], "metric": "KLDivergence"},
    "outputs": {"properties": ["p"], "num_bins": 5},
    "answers": {"properties": ["prediction"], "metric": "HypothesisTest"},
    "labels": {"properties": ["label"]},
    "named truths": {"properties": ["labels.amount"], "metric": "JSDivergence"},
    "labelled ones": {"properties": ["temperature"], "target": {"filter": LABELLED}},
}  # fmt: skip
DEFAULT = [
    f"{measure}(features.{name})"
    for measure in (*MEASURES, "HypothesisTest")
    for name in ("temperature", "city", "odd")
]


def _event(rng, index, at_ms, *, reference, drift=0.0):
    event = {
        "model_id": "m", "id": f"{'r' if reference else 'e'}{index}", "timestamp": at_ms,
        "features": {"city": rng.choice(["Boston", "Boston", "Oslo", "Łódź"])},
        "prediction": rng.choice(["no", "yes"]), "predictions": {"p": round(rng.random(), 3)},
        "channel": rng.choice(["web", "app"] if reference else ["web", "app", "new"]),
    }  # fmt: skip
    features = event["features"]
    if rng.random() > 0.1:
        features["temperature"] = rng.choice([20, rng.gauss(20 + drift, 5)])
    features["odd"] = rng.choice([1, "1", True, 2.5, "x"])
    if reference:
        event["type"] = "reference"
    if reference or rng.random() < 0.4:
        event["label"] = rng.choice(["no", "yes"])
        event["labels"] = {"amount": rng.choice([0, 5, rng.uniform(0, 9)])}
    return event


def _lines(seed):
    """A reference set, then two hours in order, with a gap and labels that come later."""
    rng = random.Random(seed)
    found = [_event(rng, i, START_MS - 7_200_000 + i * 9_000, reference=True) for i in range(400)]
    now, waiting = START_MS, []
    for index in range(600):
        now += rng.randrange(24_000) if rng.random() > 0.01 else 900_000
        due = [each for each in waiting if each["timestamp"] <= now]
        waiting = [each for each in waiting if each["timestamp"] > now]
        found += sorted(due, key=lambda each: each["timestamp"])
        event = _event(rng, index, now, reference=False, drift=index / 130)
        found.append(event)
        if "label" not in event and rng.random() < 0.7:
            at = now + rng.randrange(400_000)
            label = {"type": "label", "model_id": "m", "id": event["id"], "timestamp": at}
            waiting.append(label | {"label": rng.choice(["no", "yes"])})
    return found


def _settings():
    return Settings(
        models=(ModelSettings("m", drift_lookback_s=LOOKBACK_S),),
        metrics=tuple(
            MetricSettings("m", name, json.dumps(query), "data_drift")
            for name, query in CUSTOM.items()
        ),
        alert_rules=tuple(
            RuleSettings("m", name, "upper", 0.3, "warning", name=name, lookback_s=LOOKBACK_S)
            for name in (*DEFAULT, *CUSTOM)
        ),
        administrators=("root",),
    )  # fmt: skip


def _watched(seed, lines):
    """Run the lines through a monitor that is now and then opened again."""
    connection, chance = fresh_store(), random.Random(seed)
    decoder = Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)
    monitor, at, position = None, 0, 0
    while at < len(lines):
        connection.execute("BEGIN")
        if monitor is None or chance.random() < 0.04:
            monitor = Monitor(connection, _settings(), 1, canonical)
            monitor.watch()
            monitor.open_partition("s", "p", 0, live=True)
        count = chance.randint(1, 120)
        data = b"".join(lines[at : at + count])
        monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
        connection.execute("COMMIT")
        at, position = at + count, position + len(data)
    return connection


@pytest.fixture(scope="module")
def store():
    return _watched(1, encoded(_lines(1)))


def _queries():
    """Give name, query and time basis of every rule."""
    for name in DEFAULT:
        yield name, default_query(name)[0], "event"
    for name, query in CUSTOM.items():
        tree = parse_drift(query, UNSEEN)
        yield name, query, "label" if truths_of(tree) else "event"


QUERIES = list(_queries())


def _evaluations(store, name):
    return store.execute(
        "SELECT epoch_us(window_start), epoch_us(window_end), value"
        " FROM evaluations_log JOIN rules_log USING (rule_id, rule_version)"
        " WHERE name = ? ORDER BY window_end",
        [name],
    ).fetchall()


@pytest.mark.parametrize("place", range(len(QUERIES)), ids=[name for name, _, _ in QUERIES])
def test_oracle_a_rule_sees_what_the_query_answers(store, place):
    name, query, basis = QUERIES[place]
    tree = parse_drift(query, UNSEEN)
    cursor = store.cursor()

    def relation(source):
        return rows_sql(UNSEEN, source, truths_of(tree))

    found = _evaluations(store, name)
    defined = [row for row in found if row[2] is not None]
    empty = [row for row in found if row[2] is None]
    assert len(defined) > 50
    for start, end, value in [*random.Random(place).sample(defined, 5), found[-1], *empty[:1]]:
        (row,) = drift_answer(cursor, UNSEEN, tree, relation, (start, end, basis))
        (expected,) = row.values()
        if expected is None:
            assert value is None
        else:
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-12), (start, end)


def test_oracle_default_rules_have_the_thresholds_of_the_query(store):
    query = {"properties": ["features.temperature", "features.city"], "metric": "Thresholds"}
    tree = parse_drift(query, UNSEEN)
    stored = store.execute(
        "SELECT DISTINCT r.name, sample_low, sample_high, d.threshold FROM drift_thresholds d"
        " JOIN rules_log r USING (metric_id) WHERE r.is_default AND d.lookback_s = ?",
        [LOOKBACK_S],
    ).fetchall()
    cursor, compared = store.cursor(), 0
    for (name, low, high, threshold), where in itertools.product(stored, tree.properties):
        if where.name not in name:
            continue
        target = rows_sql(UNSEEN, "inference") + f" ORDER BY seq LIMIT {(low + high) // 2}"
        relations = {"reference": rows_sql(UNSEEN, "reference"), "inference": target}
        of = Evaluation(LOOKBACK_S, STEP_S)
        (found,) = drift_answer(cursor, UNSEEN, tree, relations.get, evaluation=of)
        assert found[where.written] == pytest.approx(threshold, rel=1e-12)
        compared += 1
    assert compared > 5
