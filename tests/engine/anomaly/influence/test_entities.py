"""Entity registries: numbers that depend on buckets and texts alone, and survive a restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.anomaly.influence.entities import UNKNOWN, Entities
from engine.errors import StoreError

BUCKETS = st.lists(st.lists(st.sampled_from("abcdefgÄ語"), max_size=6), max_size=8)


@given(buckets=BUCKETS, limit=st.integers(0, 9))
def test_oracle_codes_are_in_order_of_bucket_then_text(
    buckets: list[list[str]], limit: int
) -> None:
    entities, refused = Entities(limit), 0
    order: list[str] = []
    for texts in buckets:
        order += sorted(set(texts) - set(order))
        order, beyond = order[:limit], order[limit:]
        refused += len(beyond)
        foretold = entities.codes(texts).tolist()
        assert entities.admit(texts).tolist() == foretold
        assert foretold == [order.index(t) if t in order else UNKNOWN for t in texts]
    assert entities.names.tolist() == order
    assert (len(entities), entities.refused) == (len(order), refused)


@given(buckets=BUCKETS, cut=st.integers(0, 7))
def test_law_a_restart_changes_nothing(buckets: list[list[str]], cut: int) -> None:
    straight, resumed = Entities(4), Entities(4)
    for number, texts in enumerate(buckets):
        if number == cut:
            resumed = Entities.of_json(resumed.to_json(), 4)
        straight.admit(texts)
        resumed.admit(texts[::-1])
    assert resumed.to_json() == straight.to_json()


def test_golden_what_is_only_asked_for_is_not_remembered() -> None:
    entities = Entities(10)
    entities.admit(["b"])
    assert entities.codes(["c", "a", "b", "c"]).tolist() == [2, 1, 0, 2]
    assert entities.names.tolist() == ["b"]
    assert entities.codes([]).tolist() == []


def test_golden_a_lower_limit_keeps_what_is_known() -> None:
    entities = Entities(3)
    entities.admit(["a", "b", "c"])
    fewer = Entities.of_json(entities.to_json(), 1)
    assert fewer.admit(["c", "d"]).tolist() == [2, UNKNOWN]
    assert fewer.refused == 1


def test_error_another_version() -> None:
    text = Entities(1).to_json().replace('"version": 1', '"version": 2')
    with pytest.raises(StoreError, match="`version` of an entity registry must be 1, got 2"):
        Entities.of_json(text, 1)
