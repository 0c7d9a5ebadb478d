"""Streams of decisions, labels and deployments, and what is stored of them, for several tests."""

import json
import random
from collections import Counter

import duckdb
from harness import encoded, run
from hypothesis import strategies as st

from engine.config import ModelSettings, Settings
from engine.decode import Decoder
from engine.jobs.days import DECIDED_DAYS

START_MS = 1_700_000_040_000
SETTINGS = Settings(
    administrators=("root",),
    models=(ModelSettings("m", job="j"), ModelSettings("n")),
)
DECLARED = {"m": "j"}
JOBS = ("j", "k", "7")

_models = st.sampled_from(["m", "n", "o"])
_times = st.integers(-3, 20).map(lambda step: START_MS + step * 1_700_000)
_values = st.sampled_from(["X", "Y", 0, 1, 1.5, True, 2.0, -0.25])
_jobs = st.sampled_from(["j", "k", 7])
_own = {"model_id": _models, "timestamp": _times}
_said = _own | {"id": st.sampled_from(["a", "b", "c", "d"])}

_predictions = st.fixed_dictionaries(
    _said, optional={"prediction": _values, "label": _values, "job_id": _jobs}
)
_labels = st.fixed_dictionaries(
    _said | {"type": st.just("label"), "label": _values},
    optional={"by": st.sampled_from(["ana", "bob", "eve", "root"])},
)
_deployments = st.fixed_dictionaries(
    _own
    | {
        "type": st.just("model"),
        "status": st.sampled_from(["deployed", "Deployed", "retired", "é\n"]),
    },
    optional={"job_id": _jobs},
)
predictions_and_labels = st.lists(st.one_of(_predictions, _labels), min_size=6, max_size=30)
all_events = st.lists(
    st.one_of(_predictions, _predictions, _labels, _deployments), min_size=6, max_size=24
)


def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def come(events, seed, repeats=0):
    """The events in some order, some of them again."""
    order = random.Random(seed)
    lines = events + [order.choice(events) for _ in range(repeats)]
    order.shuffle(lines)
    return lines


def taken(reader, events, seed, cut, settings=SETTINGS):
    sizes = random.Random(seed)
    return run(reader, encoded(events), iter(lambda: sizes.randint(1, cut), None), settings)


def counted(connection):
    """The sums of `decision_panes`, without what adds up to nothing."""
    rows = connection.execute(
        "SELECT model_id, job_id, hour_s, label, prediction, label_source, sum(count)::BIGINT"
        " FROM decision_panes GROUP BY ALL HAVING sum(count) <> 0"
    ).fetchall()
    days = connection.execute(
        "SELECT model_id, job_id, day_s, label, prediction, label_source, sum(count)::BIGINT"
        f" FROM {DECIDED_DAYS} GROUP BY ALL"
    ).fetchall()
    by_day = Counter()
    for model, job, hour_s, label, prediction, source, count in rows:
        by_day[model, job, hour_s // 86_400 * 86_400, label, prediction, source] += count
    assert Counter({tuple(row[:6]): row[6] for row in days if row[6]}) == by_day
    return Counter({tuple(row[:6]): row[6] for row in rows})


def by_brute_force(connection):
    """The same, by a plain statement over the view `events`."""
    rows = connection.execute(
        "SELECT model_id, job_id, floor(epoch_us(event_time) / 3600e6)::BIGINT * 3600,"
        " CASE WHEN label_number % 1 <> 0 THEN NULL ELSE label END,"
        " CASE WHEN prediction_number % 1 <> 0 THEN NULL ELSE prediction END,"
        " label_source, count(*) FROM events GROUP BY ALL"
    ).fetchall()
    return Counter({tuple(row[:6]): row[6] for row in rows})


def data_of(events):
    return "".join(json.dumps(event) + "\n" for event in events).encode()
