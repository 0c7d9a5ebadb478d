"""What alert rules cost: a minute of very many of them, and an ordinary run with a few.

- 10,000 rules over 1,000 models, each with a value that changes every minute, one in ten of them
  violated: milliseconds of one core to read the rows of a minute, to evaluate, and to store what
  changed (wanted: at most 100).
- 20 models with three rules each, and PSI of ten features against a reference set: throughput of
  real `bellwether run` processes as a share of that without any rules; both take turns (wanted: at
  least 0.6).
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice, pairwise
from pathlib import Path
from statistics import median

from benchmarks.process import Measured, bellwether, measure, medians, write_workload

__all__: list[str] = []

_METRICS = (
    *("count", "avg(score)", "max(score)", "accuracyRateMulticlass"),
    *(f"avg(features.feature_{place})" for place in range(6)),
)
_THREE = (
    ("accuracyRateMulticlass", "lower", 0.5),
    ("avg(score)", "upper", 0.99),
    ("count", "lower", 1),
)
_FEATURES = 10
_REFERENCE_ROWS = 1_000
_LATER_US = 2_000_000_000_000_000  # a receipt behind every event time of the workload


@dataclass(frozen=True, slots=True)
class Minute:
    """What a minute took, in seconds of processor time, and the evaluations that it stored."""

    reading_s: float
    evaluating_s: float
    stored: int


def _minutes(models: int, minutes: int, lines: int, lookback_s: int) -> Iterator[Minute]:
    """Take minute after minute of a workload, as rows of the store, through the rules alone."""
    # What the other half of this file starts must not inherit the memory of these.
    from benchmarks.workload import Workload, lines as written  # noqa: PLC0415, I001
    from connectors.store import Store  # noqa: PLC0415
    from engine.batch import Block  # noqa: PLC0415
    from engine.config import RuleSettings, Settings  # noqa: PLC0415
    from engine.rules.alerting import Lines  # noqa: PLC0415
    from engine.rules.watch import Watch  # noqa: PLC0415
    from engine.stamping import event_rows, event_times  # noqa: PLC0415
    from engine.watermark import NEVER  # noqa: PLC0415
    from flows.reading import reader_of  # noqa: PLC0415

    workload = Workload(
        lines=minutes * lines, models=models, step_ms=60_000 // lines, late_share=0.0
    )
    buffer = BytesIO()
    for piece in written(workload):
        buffer.write(piece)
    buffer.seek(0)
    width = len(str(models - 1))
    rules = tuple(
        RuleSettings(
            f"model-{number:0{width}d}",
            metric,
            "upper",
            -1.0 if number % 10 == 0 else 1e9,
            "warning",
            lookback_s=lookback_s,
            wait_us=86_400_000_000,
        )
        for number in range(models)
        for metric in _METRICS
    )
    settings = Settings(alert_rules=rules)
    read = reader_of(settings, 60)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        store.begin()
        watch = Watch(store.cursor, settings)
        watch.open(NEVER)
        seq, position = 0, 0
        for _ in range(minutes):
            data = b"".join(islice(buffer, lines))
            batch = read(Block("benchmark", "rules", position, data, _LATER_US))
            times = event_times(batch)
            rows = event_rows(batch, times, 0, seq)
            rows = rows.append_column("series_id", rows["model_id"])
            told = Lines(seq, times)
            began = time.process_time()
            watch.take(batch, rows, told, None)
            taken = time.process_time()
            watch.mark(times, seq)
            watch.advance(int(times.max()), told, seq + lines)
            ended = time.process_time()
            stored = store.cursor.execute("SELECT count(*) FROM evaluations_log").fetchall()[0][0]
            yield Minute(taken - began, ended - taken, stored)
            seq, position = seq + lines, position + len(data)
        store.commit()


def _report_minute(given: argparse.Namespace) -> None:
    taken = list(_minutes(given.models, given.minutes, given.lines_a_minute, given.lookback_s))
    # The first ones only fill the windows.
    full = given.lookback_s // 60 + 1
    stored = [later.stored - one.stored for one, later in pairwise(taken)]
    reading = median(each.reading_s for each in taken[full:]) * 1e3
    evaluating = median(each.evaluating_s for each in taken[full:]) * 1e3
    worst = max(each.reading_s + each.evaluating_s for each in taken[full:]) * 1e3
    print(
        f"{given.models * len(_METRICS):,} rules over {given.models:,} models,"
        f" {given.lines_a_minute:,} lines a minute, median of {len(taken) - full} minutes"
    )
    print(f"{'reading the rows':<36}{reading:9.1f} ms")
    print(f"{'evaluating and storing':<36}{evaluating:9.1f} ms (wanted: at most 100)")
    print(f"{'both, the longest minute':<36}{worst:9.1f} ms")
    print(f"{'evaluations stored a minute':<36}{median(stored[full:]):9,.0f}", flush=True)


def _configuration(folder: Path, models: int, *, rules: bool, references: bool) -> Path:
    """Write a configuration of the workload's models, with or without rules."""
    width = len(str(models - 1))
    names = [f"model-{number:0{width}d}" for number in range(models)]
    told: dict[str, object] = {}
    declared: list[dict[str, object]] = []
    for name in names:
        model: dict[str, object] = {"id": name, "classes": ["A", "B", "C"]}
        if references:
            model["reference"] = {"files": [str(_reference(folder, name))]}
        declared.append(model)
    told["models"] = declared
    if rules:
        told["alert_rules"] = [
            {
                "model": name,
                "metric": metric,
                "bound": bound,
                "threshold": threshold,
                "severity": "warning",
            }
            for name in names
            for metric, bound, threshold in _THREE
        ]
    path = folder / f"{'rules' if rules else 'plain'}{'-psi' if references else ''}.yaml"
    path.write_text(json.dumps(told))  # JSON is YAML
    return path


def _reference(folder: Path, name: str) -> Path:
    """Write a reference set: the first predictions of a model, as rows of history."""
    path = folder / f"reference-{name}.ndjson"
    if path.exists():
        return path
    found = []
    with (folder / "events.ndjson").open() as lines:
        for line in lines:
            event = json.loads(line)
            if event["model_id"] == name and event["type"] == "prediction":
                event["type"] = "reference"
                found.append(json.dumps(event) + "\n")
            if len(found) == _REFERENCE_ROWS:
                break
    path.write_text("".join(found))
    return path


def _report_throughput(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="bellwether-rules-") as name:
        folder = Path(name)
        source, data = folder / "events.ndjson", folder / "data"
        write_workload(source, lines=given.lines, models=given.few)
        contenders = {
            "without rules": _configuration(folder, given.few, rules=False, references=False),
            "with 3 rules a model": _configuration(folder, given.few, rules=True, references=False),
            f"and PSI of {_FEATURES} features": _configuration(
                folder, given.few, rules=True, references=True
            ),
        }
        taken: dict[str, list[Measured]] = {each: [] for each in contenders}
        for _ in range(given.runs):
            for each, path in contenders.items():
                shutil.rmtree(data, ignore_errors=True)
                command = bellwether(source, data)
                place = command.index("run") + 1
                taken[each].append(measure([*command[:place], str(path), *command[place:]]))
    result = {each: medians(runs) for each, runs in taken.items()}
    print(f"\n{given.lines:,} lines, {given.few} models, median of {given.runs}")
    base = result["without rules"].seconds
    for each, run in result.items():
        rate = given.lines / run.seconds
        wanted = "" if each == "without rules" else " (wanted: at least 0.6)"
        print(f"{each:<28}{rate:>10,.0f} events/s{base / run.seconds:>7.2f}{wanted}")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure what alert rules cost.")
    parser.add_argument("--models", type=int, default=1_000, help="with ten rules each")
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--lines-a-minute", type=int, default=10_000)
    parser.add_argument("--lookback-s", type=int, default=600)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=20, help="models of the throughput runs")
    parser.add_argument("--runs", type=int, default=3, help="turns; medians are printed")
    given = parser.parse_args()
    _report_throughput(given)
    _report_minute(given)


if __name__ == "__main__":
    _main()
