"""The lines of a block, and the marks in it, against a naive twin."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.lines import quotes_before, split

PIECES = st.sampled_from([b"\n", b'"', b"a", b" ", b"\r\n", b"x" * 63, b'"' * 65, b"\n" * 130])


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_oracle_lines_and_quotes(data):
    lines = split(data, at_start=True)
    wanted = data.split(b"\n")
    wanted = wanted if wanted[-1] else wanted[:-1]
    assert [lines.line(row) for row in range(len(lines))] == [each.strip() for each in wanted]
    places = np.arange(len(data) + 1)
    assert quotes_before(lines, places).tolist() == [data[:k].count(b'"') for k in places]


def test_golden_blocks_larger_than_what_is_scanned_at_once():
    data = (b"x" * 999 + b"\n") * 300 + b'"\n' + b"\n" * 200_000 + b'"y"'
    lines = split(data, at_start=True)
    assert len(lines) == 300 + 1 + 200_000 + 1
    assert (np.diff(lines.offsets) == [1_000] * 300 + [2] + [1] * 200_000).all()
    assert lines.line(len(lines) - 1) == b'"y"'
    assert quotes_before(lines, np.array([0, 300_000, 300_001, len(data)])).tolist() == [0, 0, 1, 3]
