"""Lines that are refused by their looks, against Python's own decoding line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.lines import split
from engine.refusals import looks_of

# Of one byte and more, so that a word of eight bytes may hold some of them.
LINE = st.lists(st.sampled_from([b"a", b"{}", b"\xc3\xa9", b"\xe9", b"\xff", b"\xed\xa0\x80"])).map(
    b"".join
)


def refused(line):
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False


@pytest.mark.parametrize("around", [0, 100_000], ids=["many bytes", "few bytes"])
@given(lines=st.lists(LINE, min_size=1, max_size=12), ended=st.booleans())
def test_law_lines_that_are_not_utf_8_are_those_that_python_cannot_decode(around, lines, ended):
    lines = [b"x" * around, *lines, b"y" * around, *lines]
    data = b"\n".join(lines) + b"\n" * ended
    looks = looks_of(split(data, at_start=False), 1 << 20)
    found = split(data, at_start=False)
    read = [found.line(row) for row in range(len(found))]
    assert [row for row, _ in looks.refused] == [
        row for row, line in enumerate(read) if refused(line)
    ]
    assert looks.readable.tolist() == [
        row for row, line in enumerate(read) if line and not refused(line)
    ]
