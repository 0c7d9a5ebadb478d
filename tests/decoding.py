"""Decodes lines in every way there is, for the tests of `engine.decode`."""

import json

import duckdb

from engine.batch import Batch, Block
from engine.decode import Decoder

NOW_US = 1_700_000_000_000_000


HOUR_US = 3_600_000_000


DATABASE = duckdb.connect()


BASE = {"model_id": "m", "id": "e", "timestamp": 1_700_000_000_000}


def decoder(least_lines: int = 0, **more: object) -> Decoder:
    settings: dict[str, object] = {"max_future_us": HOUR_US, "line_bytes": 1 << 20} | more
    return Decoder(DATABASE, least_lines=least_lines, **settings)  # type: ignore[arg-type]


def ways(*lines: str, start: int = 0, **more: object) -> list[Batch]:
    """Decode lines one by one, by column, and by column with all names known."""
    block = Block("s", "p", start, "\n".join(lines).encode("utf-8", "surrogatepass"), NOW_US)
    knowing = decoder(**more)
    knowing.decode(block)
    knowing.decode(block)
    return [d.decode(block) for d in (decoder(10**9, **more), decoder(**more), knowing)]


def event(**fields: object) -> str:
    return json.dumps(BASE | fields, separators=(",", ":"), ensure_ascii=False)


def numbers(batch: Batch) -> dict[str, float]:
    found = {row["property"]: row["value"] for row in batch.sparse.to_pylist()}
    for row in batch.predictions.select(list(batch.properties)).to_pylist():
        found |= {name: value for name, value in row.items() if value is not None}
    return found


def rejected(line: str, **more: object) -> tuple[str, str | None]:
    found = {
        (row["reason"], row["field"])
        for batch in ways(line, **more)
        for row in batch.rejects.to_pylist()
        if batch.predictions.num_rows + batch.votes.num_rows + batch.others.num_rows == 0
    }
    assert len(found) == 1
    return found.pop()


def predicted(line: str, **more: object) -> dict[str, object]:
    rows = [batch.predictions.to_pylist() for batch in ways(line, **more)]
    assert all(len(found) == 1 for found in rows)
    kept = [{k: v for k, v in row[0].items() if "." not in k} for row in rows]
    return kept[0]
