"""Frequent by and over values: against plain counting, apart by partition, and cut and resumed.

A value that is always there gives no results when asked so; one that is only common must.
"""

import numpy as np
import pytest
from anomaly_models import HOUR_S, Registry
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomaly.models.frequent import Frequent


def _names(*triples):
    return dict.fromkeys(triples, (1.0, 1))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.7, 1.0), st.integers(0, 5), st.booleans())
def test_oracle_the_share_of_buckets_decides(share, seed, resumed):
    rng, registry, model = np.random.default_rng(seed), Registry(), Frequent("by")
    weight, total, both = 0.0, 0.0, {("always", None, None), ("often", None, None)}
    for at in range(120):
        values = registry.values(at * HOUR_S, _names(*both))
        mask = dict(zip(values.keys.by[values.series], model.mask(values), strict=True))
        assert mask == {"always": at >= 30, "often": at >= 30 and weight >= 0.9 * total}
        there = rng.random() < share
        names = both if there else {("always", None, None)}
        model.learn(registry.values(at * HOUR_S, _names(*names)))
        weight, total = weight * (1 - 1 / 500) + there, total * (1 - 1 / 500) + 1
        if resumed and at % 40 == 39:
            model = Frequent.of_arrays(model.to_arrays(), "by")


@pytest.mark.parametrize(
    ("excluding", "excluded"),
    [
        ("by", {"b common", "both"}),
        ("over", {"o common", "both"}),
        ("all", {"b common", "o common", "both"}),
    ],
)
def test_contract_ELi_15_exclude_frequent_by_over_and_all(excluding, excluded):
    registry, model = Registry(), Frequent(excluding)
    for at in range(60):
        model.learn(
            registry.values(
                at * HOUR_S, _names(("common", f"o{at}", None), (f"b{at}", "common", None))
            )
        )
    named = {
        "b common": ("common", "new", None),
        "o common": ("new", "common", None),
        "both": ("common", "common", None),
        "neither": ("new", "new", None),
    }
    values = registry.values(60 * HOUR_S, _names(*named.values()))
    names = {
        name: place
        for place, name in enumerate(
            zip(values.keys.by[values.series], values.keys.over[values.series], strict=True)
        )
    }
    mask = model.mask(values)
    assert {name for name, (by, over, _) in named.items() if mask[names[by, over]]} == excluded


def test_contract_ELi_15_frequent_in_its_own_partition_only():
    registry, model = Registry(), Frequent("all")
    for at in range(100):
        model.learn(registry.values(at * HOUR_S, _names(("a", None, "p"), (f"b{at}", None, "q"))))
    values = registry.values(10**6, _names(("a", None, "p"), ("a", None, "q")))
    assert model.mask(values).tolist() == [p == "p" for p in values.keys.partition[values.series]]


def test_law_gaps_and_the_silence_of_a_partition_do_not_count():
    registry, model = Registry(), Frequent("by")
    for at in range(100):
        model.learn(registry.values(at * HOUR_S, _names(("a", None, "p"))))
    values = registry.values(100 * HOUR_S, _names(("a", None, "p")))
    before = {name: array.tobytes() for name, array in model.to_arrays().items()}
    model.learn(registry.values(100 * HOUR_S, {}, gap=True))
    model.learn(registry.values(101 * HOUR_S, {}))
    assert {name: array.tobytes() for name, array in model.to_arrays().items()} == before
    for at in range(102, 300):
        model.learn(registry.values(at * HOUR_S, _names(("x", None, "q"))))
    assert model.mask(registry.values(0, _names(("a", None, "p")))).tolist() == [True]
    assert values.keys.by[0] == "a"


def test_law_a_value_that_left_is_frequent_no_more():
    registry, model = Registry(), Frequent("by")
    both = _names(("a", None, None), ("b", None, None))
    for at in range(300):
        model.learn(registry.values(at * HOUR_S, both if at < 200 else _names(("b", None, None))))
    assert model.mask(registry.values(0, both)).tolist() == [False, True]
    assert model.nbytes > 0


def test_law_a_field_that_the_detector_lacks_is_never_frequent():
    registry, model = Registry(), Frequent("all")
    for at in range(60):
        model.learn(registry.values(at * HOUR_S, _names((f"b{at}", None, None))))
    assert not model.mask(registry.values(0, _names(("new", None, None)))).any()
