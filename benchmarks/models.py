"""What an event costs with 10,000 models, 1 % of them active in a minute, against 20 models.

The same number of lines and the same event time in both files; the runs take turns.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.process import Measured, bellwether, measure, medians, write_workload

__all__: list[str] = []


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure the cost of an event with many models.")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--active-share", type=float, default=0.01, help="of the many, per minute")
    parser.add_argument("--few", type=int, default=20, help="models to compare with, all active")
    parser.add_argument("--runs", type=int, default=3, help="turns; medians are printed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-models-") as name:
        folder = Path(name)
        sources = {given.few: folder / "few.ndjson", given.models: folder / "many.ndjson"}
        for models, path in sources.items():
            share = given.active_share if models == given.models else 1.0
            write_workload(path, lines=given.lines, models=models, active_share=share)
        taken: dict[int, list[Measured]] = {models: [] for models in sources}
        for _ in range(given.runs):
            for models, path in sources.items():
                shutil.rmtree(folder / "data", ignore_errors=True)
                taken[models].append(measure(bellwether(path, folder / "data")))
    result = {models: medians(runs) for models, runs in taken.items()}
    print(f"{given.lines:,} lines, median of {given.runs}")
    for models, run in result.items():
        cost = run.seconds / given.lines * 1e6
        print(f"{models:>8,} models{cost:9.2f} µs/event{run.peak_bytes / 1e6:>9,.0f} MB peak")
    ratio = result[given.models].seconds / result[given.few].seconds
    print(f"An event of the many costs {ratio:.2f} times one of the few (wanted: at most 3).")


if __name__ == "__main__":
    _main()
