"""How many events a second, end to end into DuckDB, next to the two obvious alternatives.

One seeded file, and four real processes that take turns over it, each timed from start to exit:

- `bellwether run` into a fresh data folder;
- stock Bytewax (`benchmarks.stock_bytewax`), which only counts, over the first tenth of the file
  or 100,000 lines;
- one single-threaded DuckDB script (`benchmarks.duckdb_script`) that computes the same tables from
  nothing, with the properties as JSON, which is what Bellwether keeps, and as typed columns.

Printed are medians over the turns, the ratios between them, peak memory, and whether Bellwether's
tables equal the script's, row by row.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.process import (
    Measured,
    bellwether,
    measure,
    medians,
    module,
    write_workload,
)

__all__: list[str] = []

OURS = "Bellwether"
STOCK = "stock Bytewax (counts only)"
SCRIPT = "DuckDB script, properties as JSON"
TYPED = "DuckDB script, typed properties"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do it: the command, how many lines it is given, and what it leaves behind."""

    name: str
    command: Sequence[str]
    lines: int
    output: Path


def _contenders(folder: Path, source: Path, lines: int) -> list[Contender]:
    prefix, short = folder / "prefix.ndjson", min(lines, max(100_000, lines // 10))
    with source.open("rb") as whole, prefix.open("wb") as part:
        part.writelines(islice(whole, short))
    script = module("benchmarks.duckdb_script", "--source", source, "--database")
    ours, json, typed = folder / "data", folder / "json.duckdb", folder / "typed.duckdb"
    stock = module("benchmarks.stock_bytewax", "--source", prefix)
    return [
        Contender(OURS, bellwether(source, ours), lines, ours),
        Contender(STOCK, stock, short, folder / "nothing"),
        Contender(SCRIPT, [*script, str(json)], lines, json),
        Contender(TYPED, [*script, str(typed), "--typed"], lines, typed),
    ]


def _turns(contenders: Sequence[Contender], runs: int) -> dict[str, Measured]:
    """Run the contenders in turn, `runs` times each, and return the medians by name."""
    taken: dict[str, list[Measured]] = {each.name: [] for each in contenders}
    for turn in range(1, runs + 1):
        for each in contenders:
            shutil.rmtree(each.output, ignore_errors=True)
            each.output.unlink(missing_ok=True)
            run = measure(each.command)
            taken[each.name].append(run)
            print(f"  run {turn}  {each.name:36}{run.seconds:8.2f} s", flush=True)
    return {name: medians(measured) for name, measured in taken.items()}


def _report(contenders: Sequence[Contender], result: dict[str, Measured]) -> None:
    rate = {each.name: each.lines / result[each.name].seconds for each in contenders}
    print(f"\n{'':36}{'events/s':>12}{'µs/event':>10}{'peak memory':>14}")
    for name, measured in result.items():
        megabytes = f"{measured.peak_bytes / 1e6:,.0f} MB"
        print(f"{name:36}{rate[name]:>12,.0f}{1e6 / rate[name]:>10.2f}{megabytes:>14}")
    print()
    for name, wanted in ((STOCK, " (wanted: 2)"), (SCRIPT, " (wanted: 0.7)"), (TYPED, "")):
        print(f"Bellwether / {name}: {rate[OURS] / rate[name]:.2f}{wanted}")


def _main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure events a second, end to end into DuckDB, next to two alternatives."
    )
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3, help="turns; medians are printed")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-throughput-") as name:
        folder = Path(name)
        source = folder / "events.ndjson"
        print(f"{given.lines:,} lines, {given.models} models, seed {given.seed}", flush=True)
        write_workload(source, lines=given.lines, models=given.models, seed=given.seed)
        contenders = _contenders(folder, source, given.lines)
        _report(contenders, _turns(contenders, given.runs))
        database = folder / "data" / "bellwether.duckdb"
        try:
            measure(module("benchmarks.agreement", database, folder / "json.duckdb"))
        except RuntimeError as fault:
            sys.exit(f"\nBellwether's tables differ from the script's: {fault}")
        print("\nBellwether's tables equal the script's, row by row.")


if __name__ == "__main__":
    _main()
