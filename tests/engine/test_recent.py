"""The predictions stored last, against a plain list of all rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.recent import Recent

# Per block: the key of each row, and whether the row says something.
_BLOCKS = st.lists(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=6), max_size=30)


def table(rows):
    return pa.table(
        {
            "seq": pa.array([seq for seq, _, _ in rows], pa.int64()),
            "key": pa.array([key for _, key, _ in rows], pa.uint64()),
            "said": pa.array([f"s{seq}" if says else None for seq, _, says in rows], pa.string()),
        }
    )


def asked(*keys):
    return np.array(sorted(keys), np.uint64)


def found(recent, keys):
    rows = recent.find(asked(*keys))
    if rows is None:
        return []
    said = rows["said"].to_pylist() if "said" in rows.column_names else [None] * len(rows)
    return list(zip(rows["seq"].to_pylist(), rows["key"].to_pylist(), said, strict=True))


@given(_BLOCKS, st.integers(1, 60), st.data())
def test_oracle_finds_what_a_list_of_the_rows_has(blocks, most, data):
    recent, every, gone = Recent(0, most), [], set()
    for block in blocks:
        rows = [(len(every) + n, *row) for n, row in enumerate(block)]
        every += rows
        recent.add(table(rows))
        lines = sorted(data.draw(st.sets(st.sampled_from(range(len(every) + 1)), max_size=2)))
        gone |= set(lines)
        recent.replace(np.array(lines, np.int64))
        if data.draw(st.integers(0, 9)) == 0:
            recent.begin(data.draw(st.integers(0, len(every))))
        keys = data.draw(st.sets(st.integers(0, 35), max_size=8))
        expected = [
            (seq, key, f"s{seq}" if says else None)
            for seq, key, says in every
            if key in keys and seq >= recent.since and seq not in gone
        ]
        assert found(recent, keys) == expected
    held = sum(seq >= recent.since for seq, _, _ in every)
    assert held <= most


@pytest.mark.parametrize("sizes", [[1] * 300, [700, 3] * 60, [9_000] * 20, [100_000, 5, 5, 5]])
def test_oracle_short_runs_are_merged(sizes):
    draw, recent, lines = np.random.default_rng(3), Recent(0, 1 << 20), 0
    every = []
    for size in sizes:
        keys = draw.integers(0, 1 << 64, size, np.uint64)
        seqs = np.arange(lines, lines + size)
        recent.add(pa.table({"seq": seqs, "key": keys}))
        every += zip(keys.tolist(), seqs.tolist(), strict=True)
        lines += size
    some = dict(every[:: max(1, len(every) // 50)])
    rows = recent.find(asked(*some))
    assert rows["seq"].to_pylist() == sorted(some.values())
    assert rows["key"].to_pylist() == [every[seq][0] for seq in sorted(some.values())]
    short = [run for run in recent._runs if len(run.keys) <= 1 << 16]
    assert len(short) <= 17 + lines // (1 << 16)


def test_no_more_bytes_are_held_than_allowed():
    recent = Recent(0, 1 << 20, 10_000)
    for block in range(40):
        rows = [(100 * block + n, 100 * block + n, True) for n in range(100)]
        recent.add(table(rows))
    assert 3_000 < recent.since < 4_000
    assert found(recent, [recent.since - 1]) == []
    assert found(recent, [3_999]) == [(3_999, 3_999, "s3999")]


def test_nothing_is_held_of_columns_without_a_value():
    recent = Recent(0)
    recent.add(table([(0, 1, False)]))
    recent.add(table([]))
    recent.add(table([(1, 2, True)]))
    assert found(recent, [1, 2, 3]) == [(0, 1, None), (1, 2, "s1")]
