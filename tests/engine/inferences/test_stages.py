"""Where attributes go and what outcome they tell, case by case, and over any attributes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import QueryError
from engine.inferences.stages import (
    Stages,
    outcome,
    split_inference,
    split_truth,
    stages_of,
    truth_outcome,
)
from engine.query.names import ModelNames

TWO = Stages("m", classes=("no", "yes"), positive="yes", positive_property="p", threshold=0.7)
THREE = Stages("m", classes=("a", "b", "c"))
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)


def test_golden_stages_of_what_queries_may_name():
    names = ModelNames(
        "m",
        {"features.x": "mixed", "predictions.p": "mixed", "labels.t": "text", "shop.id": "text"},
        classes=("b", "a"),
        positive_property="predictions.p",
        threshold=0.25,
    )
    assert stages_of(names) == Stages(
        "m", frozenset("x"), frozenset("p"), frozenset("t"), frozenset(["shop.id"]),
        ("b", "a"), "b", "p", 0.25,
    )  # fmt: skip
    assert stages_of(ModelNames("m", classes=("a", "b", "c"))).positive is None


@pytest.mark.parametrize(
    ("stages", "predictions", "expected"),
    [
        (TWO, {"p": 0.7}, {"prediction": "yes", "score": 0.7}),
        (TWO, {"p": 0.6}, {"prediction": "no", "score": 0.4}),
        (TWO, {"yes": 0.9, "no": 0.1}, {"prediction": "yes", "score": 0.9}),
        (TWO, {"no": 0.1}, {"prediction": "yes", "score": 0.9}),
        (TWO, {"p": 7}, {"prediction": "yes"}),  # no probability: no score
        (TWO, {"p": None}, {}),
        (TWO, {"p": "high"}, {}),
        (THREE, {"a": 0.2, "c": 0.8}, {"prediction": "c", "score": 0.8}),
        (THREE, {"a": 3, "b": 5, "c": 4}, {"prediction": "b"}),
        (THREE, {"a": 0.5, "b": 0.5}, {"prediction": "a", "score": 0.5}),
        (THREE, {"lone": "b"}, {"prediction": "b"}),
        (THREE, {"one": 1, "two": 2}, {}),
        (THREE, {}, {}),
    ],
)
def test_oracle_outcome(stages, predictions, expected):
    found = outcome(stages, {}, predictions, {})
    assert found == {key: pytest.approx(value) for key, value in expected.items()}
    assert outcome(stages, {"prediction": "given"}, predictions, {}) == {}


def test_oracle_a_probability_among_the_features_counts_too():
    assert outcome(TWO, {}, {}, {"p": 0.8}) == {"prediction": "yes", "score": 0.8}


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"a": 0, "b": 1, "c": 0}, "b"),
        ({"a": 1, "b": 1, "c": 0}, None),
        ({"a": 0, "b": 0}, None),
        ({"a": 0.5, "b": 0.5}, None),
        ({"truth": "c"}, "c"),
        ({"truth": 0}, 0),
        ({"one": 1, "two": 2}, None),
        ({}, None),
    ],
)
def test_oracle_truth_outcome(named, expected):
    assert truth_outcome(THREE, named) == expected


def test_oracle_truths_are_split():
    assert split_truth(THREE, {"t": 1}) == {"label": 1, "labels": {"t": 1}}
    assert split_truth(THREE, {"label": "a", "labels.t": 2}) == {"label": "a", "labels": {"t": 2}}
    assert split_truth(THREE, {"t": None}) == {}


@given(data=st.dictionaries(NAMES, st.integers(0, 1), max_size=8))
def test_law_every_attribute_is_in_one_place(data):
    data = {name: value for name, value in data.items() if name != "label" and "." not in name}
    event = split_inference(THREE, data)
    kept = {**event.get("features", {}), **event.get("predictions", {})}
    fields = {name: event[name] for name in ("prediction", "score", "job_id", "bucket_id")
              if name in data}  # fmt: skip
    assert {**kept, **fields} == data


@pytest.mark.parametrize(
    "data", [{"label": 1}, {"labels.t": 1}, {"x": 1, "features.x": 2}, {"predictions.a": 1, "a": 1}]
)
def test_error_misplaced_attributes(data):
    with pytest.raises(QueryError, match="inference_data"):
        split_inference(THREE, data)


@pytest.mark.parametrize("data", [{"features.x": 1}, {"t": 1, "labels.t": 2}])
def test_error_misplaced_truths(data):
    with pytest.raises(QueryError, match="ground_truth_data"):
        split_truth(THREE, data)
