"""What the commands `bellwether anomaly …` do: pictures of jobs, lists, and changes to a job.

`plot`, `jobs` and `snapshots` only read, as `bellwether sql` does, also while a run goes on. `run`,
`reset`, `revert`, `retain` and `forecast` need the data folder for themselves.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable

import pyarrow as pa
import yaml

from connectors.sqlclient import query
from engine.config import Settings
from engine.errors import ConfigurationError, StoreError
from engine.panes import text
from flows.anomalyjobs import check_job, instant_us, relations_of, utf8
from flows.pictures import form_of, needs_matplotlib, write_picture
from flows.plotdata import Wish, read_picture
from flows.render import write
from flows.settings import Overrides, load
from flows.yamlnodes import Faults
from flows.yamlreaders import duration_us

__all__ = ["COMMANDS"]

_SECOND_US = 1_000_000
_AHEAD_MAX_US = 3_650 * 86_400 * _SECOND_US

_JOBS = """
SELECT coalesce(j.job_id, s.job_id) AS job_id,
    CASE WHEN j.job_id IS NULL THEN 'removed' ELSE coalesce(s.status, j.status) END AS status,
    j.bucket_span, s.bucket_count AS buckets, s.empty_bucket_count AS empty,
    s.processed_record_count AS processed, s.out_of_order_timestamp_count AS late,
    s.missing_field_count AS missing_field, s.latest_record_timestamp AS latest_record,
    s.series_count AS series, s.unmodelled_entity_count AS unmodelled, s.memory_bytes
FROM anomaly_jobs AS j FULL JOIN anomaly_job_stats AS s USING (job_id) ORDER BY 1
"""
_SNAPSHOTS = """
SELECT snapshot_id, timestamp, next_timestamp, retain, model_bytes, description
FROM anomaly_snapshots
"""


# ---- what only reads -------------------------------------------------------------------------


def _plot(told: argparse.Namespace) -> int:
    path = f"{_file_name(told.job)}.png" if told.output is None else told.output
    form = form_of(path)
    if not 0 <= told.threshold <= 100:  # NaN, too
        msg = f"`--threshold` must be from 0 to 100, got {told.threshold:g}"
        raise ConfigurationError(msg)
    wish = _wish(told)
    with needs_matplotlib("anomaly plot"):
        from flows.anomalyplot import draw  # noqa: PLC0415 - loads matplotlib
    write_picture(path, draw(read_picture(wish), form))
    return 0


def _wish(told: argparse.Namespace) -> Wish:
    return Wish(
        told.data,
        utf8("JOB", told.job),
        None if told.start is None else instant_us("from", told.start),
        None if told.end is None else instant_us("to", told.end),
        told.detector,
        None if told.series is None else utf8("--series", told.series),
        told.threshold,
    )


def _file_name(job: str) -> str:
    """Give a job's id as the stem of a file in this folder, whatever is in it."""
    return re.sub(r"[^\w.-]+", "_", job)[:60].strip("._") or "anomaly"


def _jobs(told: argparse.Namespace) -> int:
    if "anomaly_job_stats" not in relations_of(told.data):
        msg = f"`--data` must have anomaly jobs, got {told.data}, which no version with them wrote"
        raise ConfigurationError(msg)
    _write(query(told.data, _JOBS))
    return 0


def _snapshots(told: argparse.Namespace) -> int:
    check_job(told.data, told.job)
    mine = f"job_id = {text(told.job)} ORDER BY timestamp"
    _write(query(told.data, f"{_SNAPSHOTS} WHERE {mine}"))
    return 0


def _write(table: pa.Table, form: str = "table") -> None:
    """Write an answer to standard output."""
    terminal = sys.stdout.isatty()
    if form == "parquet" and terminal:
        msg = "`--format parquet` must go to a pipe, got a terminal"
        raise ConfigurationError(msg)
    width = (os.get_terminal_size(sys.stdout.fileno()).columns or 80) if terminal else None
    try:
        write(table, form, sys.stdout.buffer, terminal_width=width)
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"the answer cannot be written: {error.strerror}"
        raise StoreError(msg) from error


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


# ---- what writes, or needs the folder for itself ---------------------------------------------


def _run(told: argparse.Namespace) -> int:
    start_us = instant_us("from", told.start)
    settings = _settings(told)
    from flows.anomalywrites import rerun  # noqa: PLC0415 - loads the engine

    _say(rerun(settings, told.job, start_us))
    return 0


def _reset(told: argparse.Namespace) -> int:
    from flows.anomalywrites import reset  # noqa: PLC0415 - loads the engine

    _say(reset(told.data, told.job))
    return 0


def _revert(told: argparse.Namespace) -> int:
    from flows.anomalywrites import revert  # noqa: PLC0415 - loads the engine

    _say(revert(told.data, told.job, told.snapshot, delete_results=told.delete_results))
    return 0


def _retain(told: argparse.Namespace) -> int:
    from flows.anomalywrites import retain  # noqa: PLC0415 - loads the engine

    _say(retain(told.data, told.job, told.snapshot, keep=not told.off))
    return 0


def _forecast(told: argparse.Namespace) -> int:
    length_us = _length_us(told.duration)
    settings = _settings(told)
    from flows.anomalywrites import forecast  # noqa: PLC0415 - loads the engine

    _write(forecast(settings, told.job, length_us, told.series), told.format)
    return 0


def _settings(told: argparse.Namespace) -> Settings:
    return load(told.config, Overrides(data=told.data))


def _length_us(word: str) -> int:
    """Read a length of time as the configuration does: 1 s to ten years."""
    mark = yaml.Mark("", 0, 0, 0, None, 0)
    told = yaml.ScalarNode("", word, mark, mark)
    length_us = duration_us(_SECOND_US, _AHEAD_MAX_US, "")(Faults(""), told, "")
    if length_us is None:
        msg = f'`--duration` must be a duration from 1s to 3650d, such as "12h", got {word}'
        raise ConfigurationError(msg)
    return int(length_us)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "jobs": _jobs,
    "plot": _plot,
    "run": _run,
    "reset": _reset,
    "snapshots": _snapshots,
    "revert": _revert,
    "retain": _retain,
    "forecast": _forecast,
}
"""By the word behind `bellwether anomaly`; each gives the exit code."""
