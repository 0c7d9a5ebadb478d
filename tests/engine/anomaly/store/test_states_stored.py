"""A state comes back bit for bit, whatever its arrays are, and a damaged one is refused."""

import numpy as np
import pytest
from anomaly_store import asked, empty_store, scratch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from engine.anomaly.store.states import DTYPES, Stored, load, save
from engine.errors import StoreError

ARRAYS = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.sampled_from(DTYPES).flatmap(
        lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=0, min_side=0))
    ),
    max_size=4,
)


def same(found, state):
    told = (state.version, state.next_start_s, state.told, list(state.arrays))
    assert (found.version, found.next_start_s, found.told, list(found.arrays)) == told
    for name, array in state.arrays.items():
        got = found.arrays[name]
        assert (got.dtype, got.shape) == (array.dtype, array.shape)
        assert got.tobytes() == array.tobytes()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds(Stored, st.integers(1, 9), st.integers(), st.text(), ARRAYS), max_size=3))
def test_law_a_state_comes_back_bit_for_bit_in_the_place_of_the_one_before(states):
    states = [
        Stored(each.version, each.next_start_s % 2**40, each.told, each.arrays) for each in states
    ]
    with scratch() as connection:
        save(connection, "other", Stored(1, 5, "{}", {"x": np.arange(3)}))
        for state in states:
            save(connection, "j", state)
            same(load(connection, "j"), state)
        same(load(connection, "other"), Stored(1, 5, "{}", {"x": np.arange(3)}))


@pytest.mark.parametrize("sizes", [(10, 2_000_000, 5), (3_000_000, 2_999_999, 3_000_001)])
def test_law_small_and_large_states_take_turns(sizes):
    """Those of up to 8 MB are updated where they lie, larger ones are written anew."""
    with scratch() as connection:
        for size in sizes:
            rng = np.random.default_rng(size)
            state = Stored(1, 300, "x" * (size // 100), {"a": rng.normal(size=size)})
            assert save(connection, "j", state) == 8 * size
            same(load(connection, "j"), state)


def test_golden_arrays_that_do_not_lie_in_one_piece():
    turned = np.arange(12.0).reshape(3, 4).T
    with scratch() as connection:
        save(connection, "j", Stored(1, 0, "", {"turned": turned, "some": np.arange(9)[::3]}))
        found = load(connection, "j").arrays
    assert np.array_equal(found["turned"], turned)
    assert found["some"].tolist() == [0, 3, 6]


def test_golden_a_loaded_array_can_be_changed():
    with scratch() as connection:
        save(connection, "j", Stored(1, 0, "", {"a": np.zeros(3), "b": np.zeros(3)}))
        found = load(connection, "j").arrays
    found["a"] += 1.0
    assert found["b"].tolist() == [0.0] * 3


def test_golden_no_state():
    with scratch() as connection:
        assert load(connection, "j") is None


def test_error_other_numbers():
    with (
        scratch() as connection,
        pytest.raises(TypeError, match="`names` must have numbers of bool, uint8"),
    ):
        save(connection, "j", Stored(1, 0, "", {"names": np.array(["a"], object)}))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE anomaly_state_arrays SET data = '\\x00'::BLOB WHERE place = 1 AND part = 1",
        "UPDATE anomaly_state_arrays SET crc = 7 WHERE place = 0",
        "UPDATE anomaly_state_arrays SET shape = '999' WHERE place = 1",
        "UPDATE anomaly_state_arrays SET dtype = 'float32' WHERE place = 1",
        "DELETE FROM anomaly_state_arrays WHERE part = 1",
        "DELETE FROM anomaly_state_arrays WHERE place = 0",
        "DELETE FROM anomaly_state_arrays WHERE place = 2",
        "DELETE FROM anomaly_state_arrays",
        "UPDATE anomaly_state_arrays SET place = 7 WHERE place = 2",
    ],
)
def test_fault_a_damaged_state_is_refused(damage):
    with scratch() as connection:
        arrays = {"a": np.arange(1000.0), "b": np.arange(3.0)}
        save(connection, "j", Stored(1, 0, "{}", arrays))
        connection.execute(damage)
        with pytest.raises(StoreError, match="the state of anomaly job j is damaged: reset"):
            load(connection, "j")


def test_law_states_saved_over_and_over_do_not_pile_up():
    connection = empty_store()
    for number in range(50):
        save(connection, "j", Stored(1, number, "{}", {"a": np.full(5000, float(number))}))
    connection.execute("CHECKPOINT")
    # Row ids tell how many rows were ever written: updates write none.
    assert asked(connection, "SELECT count(*), max(rowid) FROM anomaly_state_arrays") == [(11, 10)]
