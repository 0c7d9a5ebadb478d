"""Memory behaves as the files and pipes that it stands for in tests."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.memory import Memory


def read(memory: Memory, limit: int = 1 << 20) -> list[bytes]:
    blocks = []
    while (block := memory.poll(0, limit)) is not None:
        blocks.append(block.data)
    return blocks


@given(
    st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\0", b"\n"))),
    st.integers(0, 200),
    st.integers(1, 50),
)
def test_law_everything_behind_the_start_comes_once(
    chunks: list[bytes], start: int, limit: int
) -> None:
    raw = b"".join(chunks)
    start = min(start, len(raw))
    memory = Memory(chunks, start=start)
    blocks = read(memory, limit)
    assert b"".join(blocks) == raw[start:]
    assert memory.finished
    assert memory.consumed == memory.size == len(raw)


def test_golden_blocks_are_the_cuts() -> None:
    memory = Memory([b"a\nb\n", b"c\n", b"d"], source="s", name="n", start=2)
    first = memory.poll(9)
    assert first is not None
    assert (first.source, first.partition, first.start, first.data) == ("s", "n", 2, b"b\n")
    assert first.received_us == 9
    assert read(memory) == [b"c\n", b"d"]


def test_golden_live_memory_takes_more_until_its_end() -> None:
    memory = Memory(bounded=False)
    assert memory.poll(0) is None
    assert not memory.finished
    memory.push(b"one\nto")
    assert read(memory) == [b"one\n"]
    memory.push(b"rn")
    assert read(memory) == []
    memory.end()
    assert read(memory) == [b"torn"]
    assert memory.finished
