"""Peak memory against the number of events: it has to stay where it is.

Each size is a file of its own, taken into a fresh data folder by a real `bellwether run`.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.process import bellwether, measure, write_workload

__all__: list[str] = []


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure peak memory by number of events.")
    parser.add_argument(
        "--millions", type=float, nargs="+", default=[1, 5, 10], help="sizes, in millions of lines"
    )
    parser.add_argument("--models", type=int, default=20)
    given = parser.parse_args()
    print(f"{given.models} models; wanted: at most 1,500 MB at 10 million")
    print(f"{'lines':>12}{'peak memory':>14}{'events/s':>12}{'database':>12}")
    for millions in given.millions:
        lines = round(millions * 1e6)
        with tempfile.TemporaryDirectory(prefix="bellwether-memory-") as name:
            source, data = Path(name) / "events.ndjson", Path(name) / "data"
            write_workload(source, lines=lines, models=given.models)
            run = measure(bellwether(source, data))
            stored = (data / "bellwether.duckdb").stat().st_size
            shutil.rmtree(data)
        peak, size = f"{run.peak_bytes / 1e6:,.0f} MB", f"{stored / 1e6:,.0f} MB"
        print(f"{lines:>12,}{peak:>14}{lines / run.seconds:>12,.0f}{size:>12}", flush=True)


if __name__ == "__main__":
    _main()
