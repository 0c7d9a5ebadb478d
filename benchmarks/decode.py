"""Decoding of a block into columns, next to `orjson.loads` of each line; a block per type."""

from collections.abc import Callable

import duckdb
import numpy as np
import orjson

from benchmarks.rooms import best_s, blocks, say
from engine.batch import Block
from engine.decode import Decoder
from engine.schema import AMOUNTS

__all__: list[str] = []

_LINES = 60_000
_START_MS = 1_700_000_000_000
_LATER_US = 2_000_000_000_000_000  # a receipt behind every event time here


def _metric(i: int, random: np.random.Generator) -> dict[str, object]:
    """Give the metric of a step: every tenth has no timestamp, some have a field of their own."""
    event: dict[str, object] = {"type": "metric", "job_id": i % 50, "name": ("loss", "f1")[i % 2]}
    event |= {"value": random.random(), "step": i // 50, "experiment_id": "exp-7"}
    if i % 10:
        event["timestamp"] = _START_MS + i
    return event | ({"host": f"node-{i % 8}"} if i % 3 == 0 else {})


def _run(i: int, random: np.random.Generator) -> dict[str, object]:
    """Give a processing run; those that failed have no times behind the failure."""
    failed = i % 20 == 0
    event: dict[str, object] = {"type": "run", "id": i, "job_type": f"type-{i % 30}"}
    event |= {"version": None if i % 4 == 0 else "1.0", "timestamp": _START_MS + i}
    event |= {"status": "failed" if failed else "completed"}
    event |= {"error_category": "data" if failed else None}
    for place, name in enumerate(AMOUNTS["run"]):
        event[name] = None if failed and place > 2 else round(random.exponential(30.0), 3)
    return event


def _ingest(i: int, random: np.random.Generator) -> dict[str, object]:
    """Give the ingest of a file, told in ISO 8601."""
    event: dict[str, object] = {"type": "ingest", "id": f"file-{i}", "strike": f"strike-{i % 9}"}
    event |= {"status": ("ingested", "duplicate")[i % 7 == 0], "file_size": int(i * 7919 % 10**9)}
    event |= {"timestamp": f"2023-11-14T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}Z"}
    return event | {n: round(random.random(), 4) for n in ("transfer_time", "ingest_time")}


def _model(i: int, _: np.random.Generator) -> dict[str, object]:
    """Give a change of a model's status."""
    event = {"type": "model", "model_id": f"model-{i % 20}", "job_id": "j", "owner": "ana"}
    return event | {"status": ("deployed", "retired")[i % 2], "timestamp": _START_MS + i}


def _mixed(i: int, random: np.random.Generator) -> dict[str, object]:
    return (_metric, _run, _ingest, _model)[i % 4](i, random)


def _block(make: Callable[[int, np.random.Generator], dict[str, object]]) -> Block:
    random = np.random.default_rng(7)
    data = b"".join(orjson.dumps(make(i, random)) + b"\n" for i in range(_LINES))
    return Block("benchmark", "others", 0, data, _LATER_US)


def _compare(what: str, first: Block, block: Block) -> None:
    decoder = Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)
    decoder.decode(first)  # what it has learned is part of its speed
    count = decoder.decode(block).lines
    ours = best_s(lambda: decoder.decode(block))
    naive = best_s(lambda: [orjson.loads(line) for line in block.data.splitlines()])
    say(f"engine.decode, columns: {what}", ours, "orjson.loads per line, objects", naive, count)


def _main() -> None:
    _compare("predictions", *blocks(2))
    kinds = {"metric": _metric, "run": _run, "ingest": _ingest, "model": _model, "mixed": _mixed}
    for name, make in kinds.items():
        block = _block(make)
        _compare(name, block, block)


if __name__ == "__main__":
    _main()
