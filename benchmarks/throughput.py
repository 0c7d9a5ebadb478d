"""How many events a second, end to end into DuckDB, next to the obvious alternatives.

One seeded file, and real processes that take turns over it, each timed from start to exit:

- `bellwether run` into a fresh data folder;
- one single-threaded DuckDB script (`benchmarks.duckdb_script`) that computes the same tables from
  nothing, with the properties as JSON, as its users would keep them, and as typed columns;
- stock Bytewax (`benchmarks.stock_bytewax`), which only counts, over a part of the file.

With `--peers` also: `bellwether run` on one core, and with `keep_events: none`; and rolling metrics
by river (`benchmarks.river_rolling`), over a part of the file.

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
ALONE = "Bellwether on one core"
NARROW = "Bellwether, keep_events: none"
SCRIPT = "DuckDB script, properties as JSON"
TYPED = "DuckDB script, typed properties"
STOCK = "stock Bytewax (counts only)"
RIVER = "river (rolling confusion matrices)"
_RATIOS = (
    (OURS, SCRIPT, 1.2),
    (OURS, TYPED, None),
    (OURS, STOCK, 3.0),
    (NARROW, STOCK, 4.5),
    (OURS, RIVER, None),
    (OURS, ALONE, 1.5),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do it: the command, how many lines it is given, and what it leaves behind."""

    name: str
    command: Sequence[str]
    lines: int
    output: Path
    cores: int | None = None


def _contenders(folder: Path, source: Path, lines: int, *, peers: bool) -> list[Contender]:
    prefix, short = folder / "prefix.ndjson", min(lines, max(100_000, lines // 10))
    with source.open("rb") as whole, prefix.open("wb") as part:
        part.writelines(islice(whole, short))
    script = module("benchmarks.duckdb_script", "--source", source, "--database")
    ours, json, typed = folder / "data", folder / "json.duckdb", folder / "typed.duckdb"
    nothing = folder / "nothing"
    found = [
        Contender(OURS, bellwether(source, ours), lines, ours),
        Contender(SCRIPT, [*script, str(json)], lines, json),
        Contender(TYPED, [*script, str(typed), "--typed"], lines, typed),
        Contender(STOCK, module("benchmarks.stock_bytewax", "--source", prefix), short, nothing),
    ]
    if not peers:
        return found
    narrow = folder / "narrow.yaml"
    narrow.write_text("keep_events: none\n")
    alone, less = folder / "alone", folder / "less"
    river = module("benchmarks.river_rolling", "--source", prefix)
    return [
        *found,
        Contender(RIVER, river, short, nothing),
        Contender(NARROW, bellwether(source, less, narrow), lines, less),
        Contender(ALONE, bellwether(source, alone), lines, alone, cores=1),
    ]


def _turns(contenders: Sequence[Contender], runs: int) -> dict[str, Measured]:
    """Run the contenders in turn, `runs` times each, and return the medians by name."""
    taken: dict[str, list[Measured]] = {each.name: [] for each in contenders}
    for turn in range(1, runs + 1):
        for each in contenders:
            shutil.rmtree(each.output, ignore_errors=True)
            each.output.unlink(missing_ok=True)
            run = measure(each.command, each.cores)
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
    for name, other, wanted in _RATIOS:
        if name in rate and other in rate:
            told = "" if wanted is None else f" (wanted: {wanted})"
            print(f"{name} / {other}: {rate[name] / rate[other]:.2f}{told}")


def _main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure events a second, end to end into DuckDB, next to alternatives."
    )
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3, help="turns; medians are printed")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--peers", action="store_true", help="all contenders, not only four")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-throughput-") as name:
        folder = Path(name)
        source = folder / "events.ndjson"
        print(f"{given.lines:,} lines, {given.models} models, seed {given.seed}", flush=True)
        write_workload(source, lines=given.lines, models=given.models, seed=given.seed)
        contenders = _contenders(folder, source, given.lines, peers=given.peers)
        _report(contenders, _turns(contenders, given.runs))
        database = folder / "data" / "bellwether.duckdb"
        try:
            measure(module("benchmarks.agreement", database, folder / "json.duckdb"))
        except RuntimeError as fault:
            sys.exit(f"\nBellwether's tables differ from the script's: {fault}")
        print("\nBellwether's tables equal the script's, row by row.")


if __name__ == "__main__":
    _main()
