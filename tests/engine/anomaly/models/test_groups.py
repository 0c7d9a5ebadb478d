"""Groups of series: numbers that follow from the names alone, or a restart would mix groups up."""

import numpy as np
from anomaly_models import Registry
from hypothesis import given
from hypothesis import strategies as st

from engine.anomaly.models.groups import Groups, grown, looked_up, size_of

_NAMES = st.tuples(
    *(st.sampled_from(choice) for choice in ((None, "a", "b"), (None, "x"), ("p", "q", "r")))
)


def _keys(registry: Registry, names: set) -> object:
    return registry.values(0, dict.fromkeys(names, (1.0, 1))).keys


@given(st.lists(st.sets(_NAMES, min_size=1), min_size=1, max_size=6), st.data())
def test_law_groups_do_not_depend_on_the_cuts_or_on_a_restart(buckets, data):
    registry, groups = Registry(), Groups(("partition", "by"))
    for names in buckets:
        keys = _keys(registry, names)
        asked = groups.of(keys)
        if data.draw(st.booleans()):
            groups = Groups.of_arrays(groups.to_arrays("g"), "g", ("partition", "by"))
        if data.draw(st.booleans()):
            assert np.array_equal(groups.learn(keys), asked)
    assert np.array_equal(groups.of(keys), Groups(("partition", "by")).of(keys))


def test_oracle_groups_are_those_of_a_dictionary():
    registry = Registry()
    keys = _keys(registry, {("a", "x", "p"), ("a", "y", "p"), ("b", "x", "p"), ("a", "x", "q")})
    number: dict[tuple[str, str], int] = {}
    expected = [
        number.setdefault((p, b), len(number)) for b, p in zip(keys.by, keys.partition, strict=True)
    ]
    assert Groups(("partition", "by")).of(keys).tolist() == expected
    assert size_of(np.array(expected)) == 3


def test_law_asking_for_groups_learns_nothing():
    registry, groups = Registry(), Groups(("over",))
    groups.learn(_keys(registry, {("a", "x", "p")}))
    before = groups.to_arrays("g")["g.of_series"].tolist()
    groups.of(_keys(registry, {("a", "new", "p")}))
    assert groups.to_arrays("g")["g.of_series"].tolist() == before
    other = Registry()
    _keys(other, {("a", "x", "p")})
    # The interim bucket numbered "new" first, the closed one does not have it.
    assert groups.of(_keys(other, {("a", "later", "p")})).tolist() == [0, 1]


def test_oracle_growing_and_looking_beyond_the_end():
    table = np.arange(4.0).reshape(2, 2)
    assert grown(table, 3, 7.0).tolist() == [[0, 1], [2, 3], [7, 7]]
    assert grown(table, 1) is table
    assert looked_up(table, np.array([5, 0]), -1.0).tolist() == [[-1, -1], [0, 1]]
    assert looked_up(table, np.empty(0, np.int64)).shape == (0, 2)
