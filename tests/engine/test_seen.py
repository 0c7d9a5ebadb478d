"""The filter must never forget a key, and must seldom claim one that it never saw."""

import duckdb
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.seen import SEGMENT_BITS, Hits, Seen

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


@given(st.sets(st.integers(0, 9)))
def test_oracle_where_holds_for_the_lines_of_the_segments_alone(segments):
    where = Hits(np.empty(0, np.bool_), tuple(sorted(segments))).where
    size = 1 << SEGMENT_BITS
    ends = [seq for segment in range(11) for seq in (segment * size, (segment + 1) * size - 1)]
    found = duckdb.sql(f"SELECT seq FROM (SELECT unnest({ends}) AS seq) WHERE {where}").fetchall()
    assert [seq for (seq,) in found] == [seq for seq in ends if seq >> SEGMENT_BITS in segments]
    apart = sum(segment - 1 not in segments for segment in segments)
    assert where.count("seq >=") == apart  # neighbours are one range


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
