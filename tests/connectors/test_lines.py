"""Lines are cut at their newlines whatever the pieces; an endless line costs bounded memory."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.lines import KEPT_BYTES, LINES_MAX, LineCutter


def drained(cutter: LineCutter, limit: int, *, ended: bool) -> list[tuple[bytes, int]]:
    taken = []
    while (block := cutter.take(limit, ended=ended)) is not None:
        taken.append(block)
    return taken


@given(
    st.binary(max_size=300).map(lambda raw: raw.replace(b"\0", b"\n")),
    st.lists(st.integers(0, 300), max_size=10),
    st.integers(1, 50),
)
def test_law_pieces_are_whole_lines_in_order(raw: bytes, cuts: list[int], limit: int) -> None:
    cutter = LineCutter()
    blocks = []
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    for low, high in pairwise(edges):
        cutter.feed(raw[low:high])
        blocks += drained(cutter, limit, ended=False)
    assert all(data.endswith(b"\n") for data, _ in blocks)
    blocks += drained(cutter, limit, ended=True)
    assert b"".join(data for data, _ in blocks) == raw
    assert not cutter.holds
    for data, skipped in blocks:
        assert skipped == 0
        assert len(data) <= limit or data.count(b"\n", 0, -1) == 0


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=20),
    st.lists(st.integers(1, 200), min_size=1, max_size=20),
    st.integers(1, 50),
)
def test_law_cuts_do_not_depend_on_the_pieces(
    lengths: list[int], sizes: list[int], limit: int
) -> None:
    raw = b"".join(b"x" * length + b"\n" for length in lengths)

    def cut(sizes: list[int]) -> list[tuple[bytes, int]]:
        cutter, blocks, at = LineCutter(), [], 0
        while True:
            while cutter.waiting < limit and at < len(raw):
                size = sizes[at % len(sizes)]
                cutter.feed(raw[at : at + size])
                at += size
            taken = cutter.take(limit, ended=at >= len(raw))
            if taken is not None:
                blocks.append(taken)
            elif at >= len(raw):
                return blocks
            else:
                cutter.feed(raw[at : at + 1])
                at += 1

    assert cut(sizes) == cut([len(raw)])


@pytest.mark.parametrize("length", [KEPT_BYTES - 1, KEPT_BYTES, KEPT_BYTES + 1, 5_000_000])
@pytest.mark.parametrize("piece", [100_000, 10_000_000])
def test_golden_long_line_is_cut_and_positions_stay_true(length: int, piece: int) -> None:
    raw = b"before\n" + b"x" * (length - 1) + b"\nafter\n"
    cutter, blocks, waiting = LineCutter(), [], 0
    for at in range(0, len(raw), piece):
        cutter.feed(raw[at : at + piece])
        blocks += drained(cutter, 1 << 20, ended=False)
        waiting = max(waiting, cutter.waiting)
    assert blocks[0] == (b"before\n", 0)
    assert blocks[-1] == (b"after\n", 0)
    data, skipped = blocks[1]
    assert data == raw[7 : 7 + min(length, KEPT_BYTES)]
    assert len(data) + skipped == length
    assert len(blocks) == 3
    assert waiting <= KEPT_BYTES + piece


def test_golden_long_line_without_end_is_given_at_the_end() -> None:
    cutter = LineCutter()
    for _ in range(30):
        cutter.feed(b"x" * 100_000)
        assert cutter.take(1000) is None
    assert cutter.take(1000, ended=True) == (b"x" * KEPT_BYTES, 3_000_000 - KEPT_BYTES)
    assert cutter.take(1000, ended=True) is None
    assert not cutter.holds


def test_law_a_block_has_at_most_so_many_lines_and_loses_none():
    for feed in ([b"\n" * (3 * LINES_MAX + 5)], [b"a\n" * LINES_MAX, b"bc\n" * LINES_MAX, b"end"]):
        cutter = LineCutter()
        for chunk in feed:
            cutter.feed(chunk)
        blocks = []
        while (taken := cutter.take(1 << 24, ended=True)) is not None:
            blocks.append(taken[0])
        assert b"".join(blocks) == b"".join(feed)
        assert max(block.count(b"\n") for block in blocks) == LINES_MAX
