"""Decoding of a block into columns, next to `orjson.loads` of each line."""

import duckdb
import orjson

from benchmarks.rooms import best_s, blocks, say
from engine.decode import Decoder

__all__: list[str] = []


def _main() -> None:
    first, block = blocks(2)
    decoder = Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)
    decoder.decode(first)  # what it has learned is part of its speed
    count = decoder.decode(block).lines
    ours = best_s(lambda: decoder.decode(block))
    naive = best_s(lambda: [orjson.loads(line) for line in block.data.splitlines()])
    say("engine.decode, columns", ours, "orjson.loads per line, objects", naive, count)


if __name__ == "__main__":
    _main()
