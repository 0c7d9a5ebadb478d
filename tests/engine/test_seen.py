"""The filter must never forget a key, and must seldom claim one that it never saw."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.seen import Seen

_keys = st.lists(st.integers(0, 2**64 - 1), max_size=50).map(lambda keys: np.array(keys, np.uint64))


@given(st.lists(st.tuples(st.integers(0, 5), _keys), max_size=6), _keys)
def test_law_what_was_added_is_found_in_its_segment(added, asked):
    seen = Seen()
    for segment, keys in added:
        seen.add(segment, keys)
        hits = seen.ask(keys)
        assert hits.flags.all()
        assert not len(keys) or segment in hits.segments
    known = {int(key) for _, keys in added for key in keys}
    flags = seen.ask(asked).flags
    assert all(flag for flag, key in zip(flags, asked, strict=True) if int(key) in known)


def test_oracle_few_keys_are_claimed_wrongly():
    chance = np.random.default_rng(3)
    keys = chance.integers(0, 2**64, 1 << 20, np.uint64)
    seen = Seen()
    for part in np.array_split(keys, 20):
        seen.add(0, part)
    assert seen.ask(keys[::7]).flags.all()
    others = chance.integers(0, 2**64, 1 << 20, np.uint64)
    wrong = seen.ask(others).flags.mean()
    assert wrong < 5e-6


def test_law_a_dropped_segment_is_forgotten():
    seen, keys = Seen(), np.arange(100, dtype=np.uint64)
    seen.add(3, keys)
    seen.drop(3)
    assert not seen.ask(keys).flags.any()
    assert seen.ask(keys).segments == ()
