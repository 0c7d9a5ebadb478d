"""What bad lines cost: a clean stream, and the same with one line in twenty spoilt, in turn.

Both files have the same number of lines and go through real `bellwether run` processes, each into a
fresh data folder, timed from start to exit. Printed are the rates and peaks of memory (medians over
the turns), their ratio and difference, what the bad lines were refused for, and whether every line
was reported: as an event, a vote or a reject.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.process import Measured, bellwether, measure, medians, module, write_workload

__all__: list[str] = []

CLEAN, SPOILT = "clean", "spoilt"
_WANTED_SHARE, _WANTED_MB = 0.7, 100


def _turns(folder: Path, runs: int) -> dict[str, Measured]:
    taken: dict[str, list[Measured]] = {CLEAN: [], SPOILT: []}
    for turn in range(1, runs + 1):
        for name, measured in taken.items():
            data = folder / f"{name}-data"
            shutil.rmtree(data, ignore_errors=True)
            measured.append(measure(bellwether(folder / f"{name}.ndjson", data)))
            told = f"{measured[-1].seconds:8.2f} s{measured[-1].peak_bytes / 1e6:8,.0f} MB"
            print(f"  run {turn}  {name:8}{told}", flush=True)
    return {name: medians(measured) for name, measured in taken.items()}


def _report(result: dict[str, Measured], lines: int) -> bool:
    """Print the comparison; whether both numbers are as wanted."""
    print(f"\n{'':8}{'lines/s':>12}{'µs/line':>10}{'peak memory':>14}")
    for name, measured in result.items():
        rate = lines / measured.seconds
        megabytes = f"{measured.peak_bytes / 1e6:,.0f} MB"
        print(f"{name:8}{rate:>12,.0f}{1e6 / rate:>10.2f}{megabytes:>14}")
    share = result[CLEAN].seconds / result[SPOILT].seconds
    more = (result[SPOILT].peak_bytes - result[CLEAN].peak_bytes) / 1e6
    print(f"\nspoilt / clean: {share:.2f} (wanted: {_WANTED_SHARE})")
    print(f"memory: {more:+,.0f} MB (wanted: at most +{_WANTED_MB})")
    return share >= _WANTED_SHARE and more <= _WANTED_MB


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure what bad lines cost, end to end.")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=0.05, help="of the lines that are spoilt")
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3, help="turns; medians are printed")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-hostile-") as name:
        folder = Path(name)
        clean, spoilt = folder / f"{CLEAN}.ndjson", folder / f"{SPOILT}.ndjson"
        print(f"{given.lines:,} lines, {given.share:.1%} of them spoilt", flush=True)
        write_workload(clean, lines=given.lines, models=given.models, seed=given.seed)
        options = ("--share", given.share, "--seed", given.seed)
        measure(module("benchmarks.spoiled_lines", "--source", clean, "--output", spoilt, *options))
        right = _report(_turns(folder, given.runs), given.lines)
        told = module("benchmarks.refused", spoilt, folder / f"{SPOILT}-data")
        told_all = subprocess.run(told, cwd=Path(__file__).resolve().parents[1], check=False)
        right &= told_all.returncode == 0
    if not right:
        sys.exit(1)


if __name__ == "__main__":
    _main()
