"""Batches come in a stated order whatever the threads do, in bounded memory; faults surface."""

import gzip
import os
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.files import StoredFile
from connectors.memory import Memory
from connectors.partition import BLOCK_BYTES, Partition
from connectors.stdin import Stdin
from engine.batch import Batch, Block
from engine.errors import SourceError
from flows.ahead import Ahead, Ended, Last, latest_event_us


def times(values: Sequence[int | None]) -> pa.Array:
    return pa.array(values, pa.int64())


def batch_of(block: Block, votes: Sequence[int] = (), others: pa.Table | None = None) -> Batch:
    """Each line is its event time, or blank."""
    found = [int(line.split()[0]) for line in block.data.split(b"\n") if line.strip()]
    empty = pa.table({})
    if others is None:
        others = pa.table({"type": pa.array([], pa.string()), "event_us": times([])})
    return Batch(
        block=block,
        end=block.end,
        lines=len(found),
        predictions=pa.table({"event_us": times(found)}),
        properties=(),
        sparse=empty,
        votes=pa.table({"vote_us": times(votes)}),
        others=others,
        rejects=empty,
    )


def ahead_of(partitions: Sequence[Partition], depth: int = 3) -> Ahead:
    return Ahead(partitions, [batch_of, batch_of], lambda _source, _name: None, depth)


def drained(ahead: Ahead, timeout_s: float = 20.0) -> list[Batch | Ended]:
    items, until = [], time.monotonic() + timeout_s
    while not ahead.finished:
        assert time.monotonic() < until
        item = ahead.next(0)
        if isinstance(item, Last):
            items += [item.batch, item.ended]
        elif item is not None:
            items.append(item)
    ahead.close()
    return items


def told(items: Sequence[Batch | Ended]) -> list[tuple[str, str, bytes]]:
    return [
        (item.source, item.partition, b"ended")
        if isinstance(item, Ended)
        else (item.block.source, item.block.partition, item.block.data)
        for item in items
    ]


def merged(parts: dict[tuple[str, str], list[bytes]]) -> list[tuple[str, str, bytes]]:
    """The stated order, done naively."""
    rest = {key: list(blocks) for key, blocks in parts.items()}
    reach: dict[tuple[str, str], int | None] = dict.fromkeys(parts)
    out = []
    while rest:
        key = min(rest, key=lambda k: (reach[k] is not None, reach[k] or 0, k))
        if rest[key]:
            block = rest[key].pop(0)
            seen = [int(line) for line in block.split()]
            latest = max([*seen, *([] if reach[key] is None else [reach[key]])], default=None)
            reach[key] = latest
            out.append((*key, block))
        if not rest[key]:
            del rest[key]
            out.append((*key, b"ended"))
    return out


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["s", "t"]), st.sampled_from(["a", "b", "c"])),
        st.lists(
            st.lists(st.one_of(st.integers(-20, 99).map(str), st.just("")), min_size=1, max_size=4),
            max_size=5,
        ),
        max_size=5,
    ),
    st.randoms(use_true_random=False),
)
def test_oracle_bounded_partitions_are_merged_by_watermark(
    parts: dict[tuple[str, str], list[list[str]]], draw: random.Random
) -> None:
    blocks = {
        key: ["".join(f"{line}\n" for line in block).encode() for block in made]
        for key, made in parts.items()
    }
    order = list(blocks)
    draw.shuffle(order)
    ahead = ahead_of([Memory(blocks[key], source=key[0], name=key[1]) for key in order])
    got = told(drained(ahead))
    assert [item for item in got if item[2] != b"ended"] == [
        item for item in merged(blocks) if item[2] != b"ended"
    ]
    for key in blocks:
        assert [item for item in got if item[:2] == key][-1] == (*key, b"ended")


def test_golden_committed_watermarks_decide_after_a_restart() -> None:
    reach = {"a": 50, "b": 10, "c": None}
    ahead = Ahead(
        [Memory([b"%d\n" % (reach[n] or 0), b"60\n"], source="s", name=n) for n in "abc"],
        [batch_of],
        lambda _source, name: reach[name],
    )
    got = [partition for _, partition, data in told(drained(ahead)) if data != b"ended"]
    assert got == ["c", "c", "b", "b", "a", "a"]


def test_golden_the_end_comes_with_the_last_batch() -> None:
    ahead = ahead_of([Memory([b"1\n", b"2\n"], name="a"), Memory([], name="b")])
    items = []
    while not ahead.finished:
        item = ahead.next(0)
        items += [] if item is None else [item]
    first, *rest = (item for item in items if not isinstance(item, Ended))
    assert isinstance(first, Batch)
    assert [(last.batch.block.data, last.ended.partition) for last in rest] == [(b"2\n", "a")]
    assert [item.partition for item in items if isinstance(item, Ended)] == ["b"]
    ahead.close()


def test_golden_what_had_ended_ends_first_after_a_restart() -> None:
    # "b" had ended at 40, which is as if nothing of it had come yet.
    reach = {"a": 30, "b": None}
    parts = [Memory([b"50\n"], source="s", name="a"), Memory([], source="s", name="b")]
    items = drained(Ahead(parts, [batch_of], lambda _source, name: reach[name]))
    assert told(items) == [("s", "b", b"ended"), ("s", "a", b"50\n"), ("s", "a", b"ended")]


def test_law_file_cuts_and_order_do_not_depend_on_speed(tmp_path: Path) -> None:
    draw = random.Random(1)
    for number in range(3):
        lines = b"".join(b"%d %s\n" % (at, b"x" * 80) for at in range(number, 90_000, 1 + number))
        (tmp_path / f"{number}.gz").write_bytes(gzip.compress(lines, 1))

    def uneven(block: Block) -> Batch:
        time.sleep(draw.random() / 200)
        return batch_of(block)

    def run(decoders: int) -> list[tuple[str, int, int]]:
        files = [StoredFile("s", str(path)) for path in sorted(tmp_path.iterdir())]
        items = drained(Ahead(files, [uneven] * decoders, lambda *_: None))
        return [
            (item.partition, -1, -1)
            if isinstance(item, Ended)
            else (item.block.partition, item.block.start, item.end)
            for item in items
        ]

    assert run(1) == run(2) == run(3)
    assert len(run(2)) > 10


class Counting:
    """A bounded partition that counts how far it was read ahead of what was handed out."""

    source, state, size = "s", None, None
    bounded = True

    def __init__(self, name: str, blocks: int) -> None:
        self.name = name
        self.left = blocks
        self.consumed = 0

    @property
    def finished(self) -> bool:
        return self.left == 0

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        if self.finished:
            return None
        self.left -= 1
        self.consumed += limit
        return Block(self.source, self.name, 0, b"%d\n" % self.consumed, now_us)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("count", [1, 2, 70])
def test_contract_bytes_under_way_are_bounded(count: int) -> None:
    parts = [Counting(f"{number:03}", 60) for number in range(count)]
    ahead = ahead_of(parts, depth=3)
    handed_out, most = 0, 0
    for _ in range(100):
        item = ahead.next(0)
        time.sleep(0.002)
        handed_out += isinstance(item, Batch) and (32 << 20 if count == 1 else 1 << 20)
        most = max(most, sum(part.consumed for part in parts) - handed_out)
    assert (16 << 20) <= most <= (3 * (32 if count == 1 else 16) << 20) + (1 << 20)
    ahead.close()


def test_contract_each_decoder_keeps_to_its_thread() -> None:
    used: list[tuple[int, int]] = []

    def decoder(number: int, block: Block) -> Batch:
        used.append((number, threading.get_ident()))
        time.sleep(0.001)
        return batch_of(block)

    decoders = [lambda block: decoder(1, block), lambda block: decoder(2, block)]
    memory = Memory([b"%d\n" % at for at in range(100)])
    drained(Ahead([memory], decoders, lambda *_: None))
    assert len(used) == 100
    assert len(set(used)) == 2
    assert len({thread for _, thread in used}) == 2


def test_contract_live_lines_come_at_once_and_in_order() -> None:
    out, into = os.pipe()
    ahead = ahead_of([Stdin("s", descriptor=out)])
    assert ahead.next(0) is None
    for number in range(20):
        os.write(into, b"%d\n" % number)
        start = time.monotonic()
        while (item := ahead.next(0)) is None:
            time.sleep(0.001)
            assert time.monotonic() < start + 5
        assert isinstance(item, Batch)
        assert item.block.data == b"%d\n" % number
        assert time.monotonic() < start + 0.5
    os.close(into)
    assert drained(ahead) == [Ended("s", "stdin")]
    os.close(out)


class Flowing(Counting):
    """A live partition that has whatever is asked for, and notes how much that was."""

    bounded = False

    def __init__(self, blocks: int) -> None:
        super().__init__("live", blocks)
        self.asked: list[int] = []

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        self.asked.append(limit)
        self.left -= 1
        return Block(self.source, self.name, 0, b"7\n" + b" " * (limit - 2), now_us)


@pytest.mark.parametrize(("slowness_s", "bytes_then"), [(0.0, 16 << 20), (0.6, 8 << 20)])
def test_contract_live_blocks_are_as_large_as_the_step_is_fast(
    slowness_s: float, bytes_then: int
) -> None:
    flowing = Flowing(12)
    ahead = Ahead([flowing], [batch_of], lambda *_: None)
    while not ahead.finished:
        if ahead.next(0) is not None:
            time.sleep(slowness_s if len(flowing.asked) < 9 else 0.0)
    ahead.close()
    assert flowing.asked[0] == 1 << 20
    assert flowing.asked[7] == bytes_then
    assert all(8 << 20 <= asked <= 16 << 20 for asked in flowing.asked[4:])


def test_contract_the_first_live_block_is_small_so_that_it_is_soon_committed() -> None:
    out, into = os.pipe()
    lines = b"7".ljust(99) + b"\n"
    feeder = threading.Thread(target=lambda: (os.write(into, lines * 60_000), os.close(into)))
    feeder.start()
    items = drained(ahead_of([Stdin("s", descriptor=out)]))
    feeder.join()
    os.close(out)
    first, *rest = [len(item.block.data) for item in items if isinstance(item, Batch)]
    assert first <= 1 << 20
    assert first + sum(rest) == 6_000_000


def test_contract_live_and_bounded_take_turns() -> None:
    live = Memory([b"1\n"] * 50, name="live", bounded=False)
    file = Memory([b"2\n"] * 50, name="file")
    ahead = ahead_of([live, file])
    names = []
    while len(names) < 60:
        item = ahead.next(0)
        names += [item.block.partition] if isinstance(item, Batch) else []
    assert 20 <= names.count("live") <= 40
    live.end()
    ended = [item for item in drained(ahead) if isinstance(item, Ended)]
    assert {item.partition for item in ended} == {"live", "file"}


def test_contract_discovered_partitions_join() -> None:
    new = Memory([b"5\n"], name="new", bounded=False)
    ahead = Ahead(
        [], [batch_of], lambda *_: None, discover=lambda now_us: [new] if now_us == 7 else []
    )
    assert ahead.next(0) is None
    assert not ahead.finished
    item = ahead.next(7)
    until = time.monotonic() + 5
    while item is None and time.monotonic() < until:
        item = ahead.next(8)
    assert isinstance(item, Batch)
    assert item.block.partition == "new"
    assert ahead.partitions == [new]
    assert not ahead.finished
    ahead.close()


def test_error_decoder_fault_surfaces_in_its_turn() -> None:
    def decode(block: Block) -> Batch:
        if block.data == b"3\n":
            msg = "cannot decode"
            raise ValueError(msg)
        return batch_of(block)

    ahead = Ahead([Memory([b"1\n", b"2\n", b"3\n", b"4\n"])], [decode], lambda *_: None)
    got = []
    with pytest.raises(ValueError, match="cannot decode"):  # noqa: PT012  what came before counts
        while True:
            item = ahead.next(0)
            got += [item.block.data] if isinstance(item, Batch) else []
    assert got == [b"1\n", b"2\n"]
    ahead.close()


def test_error_torn_archive_surfaces_behind_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"".join(b"%d\n" % at for at in range(50_000)))[:-9])
    ahead = ahead_of([StoredFile("s", str(path))])
    lines = 0
    with pytest.raises(SourceError, match="must be whole archives"):  # noqa: PT012  as above
        while True:
            item = ahead.next(0)
            lines += item.lines if isinstance(item, Batch) else 0
    assert lines > 40_000
    ahead.close()


def test_golden_latest_event_leaves_out_reference_rows() -> None:
    block = Block("s", "p", 0, b"5\n", 0)
    others = pa.table({"type": ["reference", "run"], "event_us": times([99, 8])})
    no_time = pa.table({"type": ["reference", "model"], "event_us": times([99, None])})
    empty = Block("s", "p", 0, b"\n", 0)
    assert latest_event_us(batch_of(block)) == 5
    assert latest_event_us(batch_of(block, votes=[7, 3])) == 7
    assert latest_event_us(batch_of(block, votes=[7], others=others)) == 8
    assert latest_event_us(batch_of(empty, others=no_time)) is None
    assert latest_event_us(batch_of(empty, votes=[-4])) == -4
