"""What memory long lines need."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.widerows import FREE_BYTES, WideRows

MIB = 1 << 20


def test_golden_usual_lines_need_nothing_more():
    wide = WideRows()
    assert not any(wide.note(100_000, 32 * MIB) for _ in range(50))
    assert wide.extra_bytes == 0


def test_golden_long_lines_of_several_blocks_count_together():
    wide = WideRows()
    assert [wide.note(32, 32 * MIB) for _ in range(5)] == [False, False, False, False, True]
    assert wide.extra_bytes == 64 * MIB
    assert sum(wide.note(32, 32 * MIB) for _ in range(200)) == 60
    assert wide.extra_bytes == 2 * 65 * 32 * MIB - FREE_BYTES  # 2,048 touch so many, and no more


def test_golden_what_was_found_before_is_not_forgotten():
    wide = WideRows(640 * MIB)
    assert not wide.note(400, 400 * MIB)
    assert wide.note(60, 60 * MIB)
    assert wide.extra_bytes == 704 * MIB


@given(st.lists(st.tuples(st.integers(1, 3_000), st.integers(0, MIB)), max_size=30))
def test_law_the_widest_2048_lines_in_a_row_have_room_twice(blocks):
    wide = WideRows()
    lines = []
    for rows, size in blocks:
        wide.note(rows, rows * size)
        lines += [size] * rows
    sums = [0]
    for size in lines:
        sums.append(sums[-1] + size)
    widest = max(sums[min(k + 2_048, len(lines))] - sums[k] for k in range(len(lines) + 1))
    assert 2 * widest <= FREE_BYTES + wide.extra_bytes
