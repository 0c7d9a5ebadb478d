"""What a picture of an anomaly job shows, read from the result relations as `bellwether sql` does.

Readers alone: the running owner is asked, or the file is opened where none runs. The words of the
user are literals in the statements, escaped; nothing else of them gets there.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.sqlclient import query
from engine.errors import ConfigurationError
from engine.panes import text
from flows.anomalyjobs import check_job, utc
from flows.swimlane import Lanes, lanes_of

__all__ = ["Line", "Picture", "Records", "Scores", "SeriesName", "Wish", "read_picture"]

Numbers = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LIMIT_S = 600.0
_KEYS = "by_field_value, over_field_value, partition_field_value"
_LABEL = "concat_ws(' / ', partition_field_value, over_field_value, by_field_value)"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be drawn.

    Attributes
    ----------
    from_us, to_us : int or None
        Buckets that start in [from, to), µs since the epoch; None: from the first, to the last.
    detector : int or None
        None: that of the series chosen.
    series : str or None
        A by, over or partition value, or all of a series, joined by `` / `` in the order partition,
        over, by. Of several series, and of all where it is None, the one with the highest record
        score is drawn.
    threshold : float
        Least score of an anomaly that is marked, 0 to 100.
    """

    data: str
    job: str
    from_us: int | None = None
    to_us: int | None = None
    detector: int | None = None
    series: str | None = None
    threshold: float = 1.0


@dataclass(frozen=True, slots=True)
class SeriesName:
    """A series of a detector, with the names of its fields where a record tells them.

    `measured` is what is measured of the function's field: of ``metric`` mean, min or max.
    """

    detector: int
    function: str
    measured: str
    by: str | None
    over: str | None
    partition: str | None
    field: str | None = None
    by_field: str | None = None
    over_field: str | None = None
    partition_field: str | None = None

    @property
    def parts(self) -> list[tuple[str, str]]:
        """What splits it off: pairs of field and value; none for an unsplit detector."""
        found = (
            (self.partition_field or "partition", self.partition),
            (self.over_field or "over", self.over),
            (self.by_field or "by", self.by),
        )
        return [(name, value) for name, value in found if value is not None]


@dataclass(frozen=True, slots=True)
class Line:
    """Every bucket of a series: shape (n,) each, rising in time (µs); NaN where there is none."""

    time_us: Ints
    actual: Numbers
    typical: Numbers
    lower: Numbers
    upper: Numbers


@dataclass(frozen=True, slots=True)
class Records:
    """The anomalies of a series: shape (n,) each, rising in time."""

    line: Line
    score: Numbers
    interim: Flags


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of all buckets: shape (n,) each, rising in time (µs)."""

    time_us: Ints
    score: Numbers


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn.

    Attributes
    ----------
    span_s : int
        Seconds a bucket.
    start_us, end_us : int
        Start of the first bucket, end of the last.
    series : SeriesName or None
        None: no detector has any result.
    line : Line or None
        None: only records are stored of this series.
    """

    job: str
    span_s: int
    start_us: int
    end_us: int
    threshold: float
    series: SeriesName | None
    line: Line | None
    records: Records
    scores: Scores
    lanes: Lanes


def read_picture(wish: Wish) -> Picture:
    """Read everything that one picture needs.

    Raises
    ------
    ConfigurationError
        There is no such folder, job, detector or series, or no bucket in that time.
    QueryError, StoreError
        The results cannot be read.
    """
    relations = check_job(wish.data, wish.job)
    span_s, start_us, end_us = _span(wish)
    rows = f"job_id = {text(wish.job)}" + "".join(
        f" AND timestamp {sign} make_timestamp({us})"
        for sign, us in ((">=", wish.from_us), ("<", wish.to_us))
        if us is not None
    )
    has_line = "anomaly_model_plot" in relations
    series = _series(wish, rows, has_line=has_line)
    buckets = _ask(
        wish, f"SELECT epoch_us(timestamp), anomaly_score FROM anomaly_buckets WHERE {rows}"
    )
    return Picture(
        wish.job,
        span_s,
        start_us,
        end_us,
        wish.threshold,
        series,
        _line(wish, series, rows) if has_line and series else None,
        _records(wish, series, rows),
        Scores(_ints(buckets, 0), np.nan_to_num(_numbers(buckets, 1))),
        lanes_of(wish.data, rows, span_s, (start_us, end_us), wish.threshold),
    )


def _ask(wish: Wish, sql: str) -> pa.Table:
    return query(wish.data, f"{sql} ORDER BY ALL", _LIMIT_S)


def _span(wish: Wish) -> tuple[int, int, int]:
    """Give seconds a bucket, and start and end of what there is in the time asked for."""
    sql = (
        "SELECT max(bucket_span), epoch_us(min(timestamp)), epoch_us(max(timestamp))"
        f" FROM anomaly_buckets WHERE job_id = {text(wish.job)}"
    )
    every = query(wish.data, sql, _LIMIT_S).to_pylist()[0]
    span, first_us, last_us = every.values()
    if span is None:
        msg = f"`JOB` must have results, got {wish.job}, which has no bucket yet"
        raise ConfigurationError(msg)
    span_us = int(span) * 1_000_000
    from_us = (
        first_us if wish.from_us is None else max(first_us, -(-wish.from_us // span_us) * span_us)
    )
    end_us = last_us + span_us
    if wish.to_us is not None:
        end_us = min(end_us, -(-wish.to_us // span_us) * span_us)
    if from_us >= end_us:
        msg = (
            "`--from` and `--to` must leave a bucket of the job, whose buckets reach from"
            f" {utc(first_us)} to {utc(last_us + span_us)}, got none"
        )
        raise ConfigurationError(msg)
    return int(span), from_us, end_us


def _series(wish: Wish, rows: str, *, has_line: bool) -> SeriesName | None:
    """Choose the series: the one with the highest record score of those asked for."""
    sources = (
        f"SELECT detector_index, function, function_description AS measured, {_KEYS},"
        f" record_score AS score FROM anomaly_records WHERE {rows}"
    )
    if has_line:
        sources += (
            f" UNION ALL SELECT detector_index, function, function, {_KEYS}, 0.0"
            f" FROM anomaly_model_plot WHERE {rows}"
        )
    where = "true" if wish.detector is None else f"detector_index = {wish.detector:d}"
    if wish.series is not None:
        where += f" AND {text(wish.series)} IN ({_KEYS}, {_LABEL})"
    chosen = query(
        wish.data,
        f"WITH found AS ({sources})"
        f" SELECT detector_index, function, measured, {_KEYS} FROM found WHERE {where} GROUP BY ALL"
        f" ORDER BY max(score) DESC, detector_index, function, measured, {_KEYS} LIMIT 1",
        _LIMIT_S,
    ).to_pylist()
    if chosen:
        return _with_fields(wish, SeriesName(*chosen[0].values()))
    if wish.detector is None and wish.series is None:
        return None
    raise ConfigurationError(_no_series(wish, sources))


def _no_series(wish: Wish, sources: str) -> str:
    """Say which series there are, at most ten, those with the highest scores first."""
    there = query(
        wish.data,
        f"WITH found AS ({sources})"
        f" SELECT detector_index, {_LABEL} AS label, count(*) OVER () AS total FROM found"
        " GROUP BY ALL ORDER BY max(score) DESC, 1, 2 LIMIT 10",
        _LIMIT_S,
    ).to_pylist()
    asked = [] if wish.detector is None else [f"detector {wish.detector}"]
    asked += [] if wish.series is None else [f'series "{wish.series}"']
    listed = [f"detector {row['detector_index']}" for row in there]
    listed = [
        f"{name} {row['label']}" if row["label"] else name
        for name, row in zip(listed, there, strict=True)
    ]
    more = f" and {there[0]['total'] - len(there)} more" if there else ""
    found = "; ".join(listed) + (more if there and there[0]["total"] > len(there) else "")
    return (
        "`--detector` and `--series` must name a series with results in that time, got"
        f" {' and '.join(asked)}; there are: {found or 'none'}"
    )


def _with_fields(wish: Wish, series: SeriesName) -> SeriesName:
    """Add the names of the fields, as any record of the detector tells them."""
    fields = ("field_name", "by_field_name", "over_field_name", "partition_field_name")
    rows = query(
        wish.data,
        f"SELECT {', '.join(fields)} FROM anomaly_records"
        f" WHERE job_id = {text(wish.job)} AND detector_index = {series.detector:d} LIMIT 1",
        _LIMIT_S,
    ).to_pylist()
    names = rows[0].values() if rows else (None,) * len(fields)
    own = (series.by, series.over, series.partition)
    return SeriesName(series.detector, series.function, series.measured, *own, *names)


def _of_series(series: SeriesName, rows: str, *functions: str) -> str:
    """Give SQL that chooses the rows of a series; `functions`: columns that may name what of."""
    pairs = (
        ("by_field_value", series.by),
        ("over_field_value", series.over),
        ("partition_field_value", series.partition),
    )
    same = "".join(
        f" AND {name} IS NOT DISTINCT FROM {'NULL' if value is None else text(value)}"
        for name, value in pairs
    )
    names = f"({text(series.function)}, {text(series.measured)})"
    named = " OR ".join(f"{column} IN {names}" for column in functions)
    return f"{rows} AND detector_index = {series.detector:d} AND ({named}){same}"


def _line(wish: Wish, series: SeriesName, rows: str) -> Line | None:
    table = _ask(
        wish,
        "SELECT epoch_us(timestamp), actual, typical, lower, upper FROM anomaly_model_plot"
        f" WHERE {_of_series(series, rows, 'function')}",
    )
    return _line_of(table) if len(table) else None


def _records(wish: Wish, series: SeriesName | None, rows: str) -> Records:
    where = "false"
    if series is not None:
        # A model's line alone has one name, which may be either of the two that records have.
        both = ("function",) if series.measured == series.function else ()
        where = _of_series(series, rows, "function_description", *both)
    table = _ask(
        wish,
        "SELECT epoch_us(timestamp), actual, typical, lower, upper, record_score, is_interim"
        f" FROM anomaly_records WHERE {where} AND record_score >= {wish.threshold!r}::DOUBLE",
    )
    interim = np.array(table.column(6).to_pylist(), np.bool_)
    return Records(_line_of(table), _numbers(table, 5), interim)


def _line_of(table: pa.Table) -> Line:
    return Line(_ints(table, 0), *(_numbers(table, place) for place in range(1, 5)))


def _ints(table: pa.Table, place: int) -> Ints:
    return np.array(table.column(place).to_numpy(), np.int64)


def _numbers(table: pa.Table, place: int) -> Numbers:
    """Give a column of numbers as they can be drawn: NaN for NULL and what is beyond drawing."""
    values = np.array(table.column(place).cast(pa.float64()).to_numpy(), np.float64)
    return np.where(np.abs(values) <= _DRAWN_MAX, values, np.nan)


_DRAWN_MAX = 1e300  # differences of larger numbers are no doubles
