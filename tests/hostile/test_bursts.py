"""A burst of bad or odd lines costs what it must, and nothing once it is over.

Counted in work, not in seconds: how many names a decoder keeps, how many lines it reads one by one,
how many bytes are copied.
"""

import tracemalloc

import duckdb
import numpy as np
import pytest

from connectors.lines import LINES_MAX, LineCutter
from engine.batch import Block
from engine.crowd import AT_ONCE
from engine.decode import Decoder
from engine.lines import split, views
from engine.refusals import looks_of, malformed, no_objects
from engine.schema import MAX_NAMES

NOW_US = 1_767_225_600_000_000
DATABASE = duckdb.connect(config={"threads": 1})


def decoder() -> Decoder:
    return Decoder(DATABASE, max_future_us=None, line_bytes=1 << 20)


def decoded(reader: Decoder, lines: list[bytes]):
    return reader.decode(Block("s", "p", 7, b"\n".join(lines) + b"\n", NOW_US))


def good(count: int) -> list[bytes]:
    features = ",".join(f'"f{name}":{name}' for name in range(8)).encode()
    head = b'{"model_id":"m","id":%d,"timestamp":1700000000000,"features":{%s}}'
    return [head % (i, features) for i in range(count)]


def odd(count: int, first: int = 0, kind: str = "prediction") -> list[bytes]:
    fields = {
        "prediction": b'"model_id":"m","id":%d,"timestamp":1,"features":{"n%d":1},"x%d":"t"',
        "metric": b'"type":"metric","job_id":"j%d","name":"n","value":1,"y%d":1,"x%d":"t"',
    }[kind]
    return [b"{" + fields % ((i,) * 3) + b"}" for i in range(first, first + count)]


def one_by_one(batch) -> int:
    """Predictions that were read one by one: only those have their numbers beside the columns."""
    return len(batch.sparse["ordinal"].unique())


def test_law_names_that_never_come_again_are_forgotten() -> None:
    reader = decoder()
    for first in range(0, 3000, 1000):
        decoded(reader, odd(1000, first))
        assert len(reader._learned.names) <= AT_ONCE
    assert one_by_one(decoded(reader, good(2000))) <= 64
    assert one_by_one(decoded(reader, good(2000))) == 0
    assert len(reader._learned.names) == 8


def test_law_a_few_odd_lines_in_each_block_slow_no_others() -> None:
    reader = decoder()
    decoded(reader, good(500))
    for first in range(0, 500, 100):
        batch = decoded(reader, good(1000) + odd(100, first))
        assert one_by_one(batch) <= 100
    assert {name for _, name in reader._learned.names} >= {f"f{i}" for i in range(8)}


def test_law_names_of_other_events_are_forgotten_too() -> None:
    reader = decoder()
    for first in range(0, 3000, 1000):
        batch = decoded(reader, odd(1000, first, "metric"))
        assert batch.others.num_rows == 1000
        assert len(reader._learned_others.names) <= AT_ONCE


def test_golden_a_stream_of_many_names_is_read_by_column() -> None:
    names = ",".join(f'"f{name}":{name}' for name in range(MAX_NAMES - 10)).encode()
    head = b'{"model_id":"m","id":%d,"timestamp":1700000000000,"features":{%s}}'
    lines, reader = [head % (i, names) for i in range(300)], decoder()
    assert one_by_one(decoded(reader, lines)) == 64
    assert one_by_one(decoded(reader, lines)) == 0


def test_law_lines_are_refused_by_their_looks_as_one_by_one() -> None:
    lines = [b"{}", b"\xff", b"x" * 30, b"", b"\xe2\x82", b"\xe2\x82\xac", b"\xff" * 30, b" \xc3 "]
    found = looks_of(split(b"\n".join(lines * 5000), at_start=False), 20)
    assert found.readable.tolist() == [8 * i + k for i in range(5000) for k in (0, 5)]
    told = dict(found.refused)
    assert len(told) == len(found.refused) == 25_000
    assert told[1] == "line must be valid UTF-8, got byte 0xff at 1"
    assert told[2] == "line must have at most 20 bytes, got 30"
    assert told[6] == "line must have at most 20 bytes, got 30"
    assert told[8 * 4999 + 7] == "line must be valid UTF-8, got byte 0xc3 at 1"


@pytest.mark.parametrize("count", [1, 200])
def test_oracle_malformed_lines_are_told(count: int) -> None:
    lines = [b'{"a":1}', b'{"a":', b"[1]", b'{"a":{}', b"x", b'{"a" 1}', b'{"a":[1,2}', b'{"a":1}}']
    found = split(b"\n".join(lines * count), at_start=False)
    rows = np.arange(len(found))
    assert no_objects(found, rows).tolist() == [k in (1, 2, 4) for k in range(8)] * count
    bad = malformed(DATABASE, found, rows)
    assert bad.tolist() == [k in (1, 3, 4, 5, 6, 7) for k in range(8)] * count


def test_oracle_short_lines_are_seen_as_they_are() -> None:
    lines = [b"x" * (i % 14) for i in range(40)] + [b"{}"]
    found = split(b"\n".join(lines), at_start=False)
    assert views(found, np.arange(len(lines))).to_pylist() == [line.decode() for line in lines]


def test_law_many_tiny_lines_cost_no_more_than_their_bytes() -> None:
    data = b"{}\n" * (2 * LINES_MAX)
    found = split(data, at_start=False)
    tracemalloc.start()
    assert len(views(found, np.arange(len(found)))) == 2 * LINES_MAX
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400 * len(found)


def test_law_blocks_of_tiny_lines_look_at_nothing_behind_them() -> None:
    cutter = LineCutter()
    cutter.feed(b"\n" * (24 << 20))
    tracemalloc.start()
    sizes = [len(cutter.take(16 << 20)[0]) for _ in range(20)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes == [LINES_MAX] * 20
    assert peak < 4 * LINES_MAX + (1 << 22) + (24 << 20)
