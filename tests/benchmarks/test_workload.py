"""The workload is the ground that every figure stands on: it must be what its docstring says."""

from collections import Counter
from itertools import pairwise

import orjson
import pytest

from benchmarks.workload import CLASSES, FEATURES, START_MS, Workload, lines, write


def _events(workload):
    return [orjson.loads(line) for chunk in lines(workload) for line in bytes(chunk).splitlines()]


@pytest.fixture(scope="module")
def small():
    workload = Workload(lines=20_000, models=20)
    return workload, _events(workload)


def test_law_one_seed_gives_one_file_and_another_seed_another(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        assert write(Workload(lines=3_000, seed=seed), path) == path.stat().st_size
    first, second, third = (path.read_bytes() for path in paths)
    assert first == second
    assert first != third


def test_oracle_counts_of_lines_labels_and_models(small):
    workload, events = small
    kinds = Counter(event["type"] for event in events)
    assert kinds == {"prediction": workload.predictions, "label": workload.late}
    assert len(events) == workload.lines
    assert workload.late == 198
    assert {event["model_id"] for event in events} == {f"model-{m:02d}" for m in range(20)}


def test_law_a_prediction_has_its_label_inside_or_one_later(small):
    _, events = small
    predictions = {e["id"]: e for e in events if e["type"] == "prediction"}
    votes = {e["id"]: e for e in events if e["type"] == "label"}
    assert {key for key, event in predictions.items() if "label" not in event} == set(votes)
    for key, vote in votes.items():
        assert vote["model_id"] == predictions[key]["model_id"]
        assert 60_000 <= vote["timestamp"] - predictions[key]["timestamp"] <= 3 * 3_600_000


def test_law_lines_come_in_order_of_time_and_predictions_are_steady(small):
    workload, events = small
    assert all(a["timestamp"] <= b["timestamp"] for a, b in pairwise(events))
    times = [event["timestamp"] for event in events if event["type"] == "prediction"]
    assert times == [START_MS + n * workload.step_ms for n in range(workload.predictions)]


def test_law_values_are_of_the_stated_form(small):
    _, events = small
    for event in events:
        if event["type"] == "label":
            assert event["label"] in CLASSES
            continue
        assert event["prediction"] in CLASSES
        assert 0 <= event["score"] <= 1
        assert list(event["features"]) == [f"feature_{n}" for n in range(FEATURES)]
        assert all(isinstance(value, float) for value in event["features"].values())


def test_law_chunks_are_whole_lines_and_labels_cross_them():
    workload = Workload(lines=600_000, step_ms=1)
    chunks = [bytes(chunk) for chunk in lines(workload)]
    assert len(chunks) > 1
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert sum(chunk.count(b"\n") for chunk in chunks) == workload.lines
    assert chunks[0].count(b'"type":"label"') < chunks[-1].count(b'"type":"label"')
    ends = [
        orjson.loads(part) for c in chunks for part in (c[: c.index(b"\n")], c.splitlines()[-1])
    ]
    assert all(a["timestamp"] <= b["timestamp"] for a, b in pairwise(ends))


def test_oracle_only_a_share_of_many_models_is_active_in_a_minute():
    workload = Workload(lines=20_000, models=1_000, active_share=0.01, step_ms=100)
    predictions = [e for e in _events(workload) if e["type"] == "prediction"]
    assert len({event["model_id"] for event in predictions[:1_000]}) == 1_000
    by_minute = {}
    for event in predictions[1_000:]:
        minute = (event["timestamp"] - START_MS) // 60_000
        by_minute.setdefault(minute, set()).add(event["model_id"])
    assert len(by_minute) == 33
    assert all(len(models) <= 10 for models in by_minute.values())
    assert max(len(models) for models in by_minute.values()) == 10
