"""Scores that a whole anomaly job writes into its store, for a series of rows.

The rows go as lines of events through `bellwether run`, in the order in which they come, into a
data folder of their own. The job has one detector, `mean` of `value`; nothing else is set.
"""

import csv
import json
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.anomaly_columns import Series
from benchmarks.process import bellwether, measure, module

__all__ = ["job_scores_of"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_QUESTION = """
    SELECT epoch(timestamp)::BIGINT, initial_anomaly_score FROM anomaly_buckets
    WHERE NOT is_interim ORDER BY timestamp"""


def job_scores_of(times_s: Codes, values: Numbers, series: Series) -> Numbers:
    """Run a job over rows and give the initial scores of its buckets.

    Parameters
    ----------
    times_s : int64, shape (rows,)
    values : float64, shape (rows,)
    series : Series
        The buckets that are wanted.

    Returns
    -------
    float64, shape (buckets,)
        0 to 100.

    Raises
    ------
    RuntimeError
        If the run or the question fails.
    KeyError
        If the job has no such bucket.
    """
    with tempfile.TemporaryDirectory(prefix="bellwether-nab-") as name:
        folder = Path(name)
        settings = folder / "job.yaml"
        settings.write_text(_settings(series.span_s))
        # One row more, two buckets later, closes the last of the others.
        after_s = int(series.starts_s[-1]) + 2 * series.span_s
        _write(folder / "rows.ndjson", [*times_s.tolist(), after_s], [*values.tolist(), None])
        measure([*bellwether(folder / "rows.ndjson", folder / "data"), str(settings)])
        answer = folder / "scores.csv"
        asked = module("flows", "sql", "--data", folder / "data", "--output", answer, _QUESTION)
        measure(asked)
        with answer.open(newline="") as lines:
            found = {int(start): float(score) for start, score in list(csv.reader(lines))[1:]}
    return np.array([found[start_s] for start_s in series.starts_s.tolist()])


def _settings(span_s: int) -> str:
    job = {
        "job_id": "nab",
        "model": "nab",
        "bucket_span": f"{span_s}s",
        "detectors": [{"function": "mean", "field_name": "value"}],
    }
    return json.dumps({"anomaly_jobs": [job]})  # JSON is YAML


def _write(path: Path, times_s: list[int], values: list[float | None]) -> None:
    with path.open("w") as lines:
        for number, (time_s, value) in enumerate(zip(times_s, values, strict=True)):
            event = {
                "type": "prediction",
                "model_id": "nab",
                "id": str(number),
                "timestamp": 1000 * time_s,
                "features": {"value": value},
            }
            lines.write(json.dumps(event) + "\n")
