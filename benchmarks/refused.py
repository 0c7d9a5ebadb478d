"""Says what the lines of a file were refused for, and whether each of them was reported."""

import sys
from pathlib import Path

import duckdb

__all__: list[str] = []

_REASONS = r"""
    SELECT coalesce(field, 'line') AS field, regexp_replace(reason, '(at most \d+)?,? got .*', ''),
        count(*) AS lines
    FROM rejects GROUP BY ALL ORDER BY lines DESC, 1, 2 LIMIT 12"""


def _main(source: Path, data: Path) -> None:
    with source.open("rb") as file:
        given = sum(1 for line in file if line.strip())
    with duckdb.connect(data / "bellwether.duckdb", read_only=True) as store:
        told = store.execute("SELECT sum(events)::BIGINT, sum(rejects)::BIGINT FROM progress")
        events, rejects = told.fetchall()[0]
        print(f"\n{given:,} lines: {events:,} taken, {rejects:,} refused")
        for field, rule, lines in store.execute(_REASONS).fetchall():
            print(f"{lines:>12,}  {field:14} {rule[:70]}")
    if events + rejects != given:
        sys.exit(f"\nlines must all be reported, got {events + rejects:,} of {given:,}")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
