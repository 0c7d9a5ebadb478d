"""What a bucket leaves behind: its row, and those of its influencers and records, as columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "BucketInfluencers",
    "BucketRows",
    "Influencers",
    "Plotted",
    "Records",
    "stamps",
    "tables",
]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Texts = Sequence[str | None] | npt.NDArray[np.object_]

_STAMP = pa.timestamp("us")
_SECOND_US = 1_000_000


def _no_numbers() -> Numbers:
    return np.empty(0, np.float64)


def _no_codes() -> Codes:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scored:
    """What the rows of influencers and records share; shape (n,) each.

    Attributes
    ----------
    score : float64
        0 to 100, the first one and the current one.
    raw_score : float64
        What `Normalizer.score` made it of; a row of raw score 0 is never scored anew.
    probability : float64
    scope : int64
        As the normaliser's history of this level numbers it.
    ceiling : int64
        Place in `CEILINGS` of what was binding.
    """

    score: Numbers = field(default_factory=_no_numbers)
    raw_score: Numbers = field(default_factory=_no_numbers)
    probability: Numbers = field(default_factory=_no_numbers)
    scope: Codes = field(default_factory=_no_codes)
    ceiling: Codes = field(default_factory=_no_codes)

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BucketInfluencers(_Scored):
    """The influencers of one bucket as a whole; shape (n,) each.

    Attributes
    ----------
    level : sequence of str
        ``bucket`` for ``bucket_time``, else ``bucket:FIELD``: the history that scores it.
    field_name : sequence of str
    field_value : sequence of (str or None)
        None for ``bucket_time``.
    """

    level: Texts = ()
    field_name: Texts = ()
    field_value: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Influencers(_Scored):
    """The entities that make one bucket unusual; shape (n,) each. Level: ``influencer:FIELD``."""

    field_name: Texts = ()
    field_value: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Records(_Scored):
    """The records of one bucket; shape (n,) each. Level: ``record``.

    Unique by detector_index, function_description and scope.

    Attributes
    ----------
    detector_index : int64
    function, function_description : sequence of str
        As declared, and what was measured.
    actual, typical, lower, upper : float64
        NaN where unknown.
    multi_bucket_impact : float64
        -5 to 5.
    influencers, causes, explanation : sequence of (str or None)
        JSON.
    """

    detector_index: Codes = field(default_factory=_no_codes)
    function: Texts = ()
    function_description: Texts = ()
    field_name: Texts = ()
    by_field_name: Texts = ()
    by_field_value: Texts = ()
    over_field_name: Texts = ()
    over_field_value: Texts = ()
    partition_field_name: Texts = ()
    partition_field_value: Texts = ()
    actual: Numbers = field(default_factory=_no_numbers)
    typical: Numbers = field(default_factory=_no_numbers)
    lower: Numbers = field(default_factory=_no_numbers)
    upper: Numbers = field(default_factory=_no_numbers)
    multi_bucket_impact: Numbers = field(default_factory=_no_numbers)
    influencers: Texts = ()
    causes: Texts = ()
    explanation: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plotted:
    """What series were and should have been in one bucket, unusual or not; shape (n,) each.

    Attributes
    ----------
    detector_index : int64
    function : sequence of str
        What was measured.
    by_field_value, over_field_value, partition_field_value : sequence of (str or None)
    actual, typical, lower, upper : float64
        NaN where unknown.
    """

    detector_index: Codes = field(default_factory=_no_codes)
    function: Texts = ()
    by_field_value: Texts = ()
    over_field_value: Texts = ()
    partition_field_value: Texts = ()
    actual: Numbers = field(default_factory=_no_numbers)
    typical: Numbers = field(default_factory=_no_numbers)
    lower: Numbers = field(default_factory=_no_numbers)
    upper: Numbers = field(default_factory=_no_numbers)

    def __len__(self) -> int:
        return len(self.actual)


@dataclass(frozen=True, slots=True, eq=False)
class BucketRows:
    """One bucket, as it closed or, interim, as it stands.

    Attributes
    ----------
    start_s, span_s : int
    score : float
        The greatest of its bucket influencers.
    event_count : int
        Rows of the bucket when it was scored.
    processing_time_ms : float
        Wall clock.
    scheduled_events : tuple of str
        Descriptions of those that hold it.
    """

    job_id: str
    start_s: int
    span_s: int
    score: float
    event_count: int
    is_interim: bool = False
    processing_time_ms: float = 0.0
    scheduled_events: tuple[str, ...] = ()
    bucket_influencers: BucketInfluencers = field(default_factory=BucketInfluencers)
    influencers: Influencers = field(default_factory=Influencers)
    records: Records = field(default_factory=Records)
    plotted: Plotted = field(default_factory=Plotted)


def stamps(seconds: Iterable[int] | Codes) -> "pa.Array[Any]":
    """Give seconds since the epoch as timestamps."""
    whole = np.asarray(
        seconds if isinstance(seconds, np.ndarray) else list(seconds), dtype=np.int64
    )
    return pa.array(whole * _SECOND_US, pa.int64()).cast(_STAMP)


_PARTS: Final = {
    "bucket_influencer_results": ("bucket_influencers", BucketInfluencers),
    "influencer_results": ("influencers", Influencers),
    "record_results": ("records", Records),
    "model_plot": ("plotted", Plotted),
}
_KINDS: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(("scope",), pa.int64()),
    "detector_index": pa.int32(),
    "ceiling": pa.uint8(),
    **dict.fromkeys(
        (
            *("score", "raw_score", "probability", "actual", "typical", "lower", "upper"),
            "multi_bucket_impact",
        ),
        pa.float64(),
    ),
}


def tables(rows: Sequence[BucketRows]) -> dict[str, pa.Table]:
    """Give the rows as the tables of `engine.anomaly_tables` have them, initial scores too."""
    found = {"bucket_results": _buckets(rows)}
    for table, (part, kind) in _PARTS.items():
        names = [each.name for each in fields(kind)]
        found[table] = _parts(rows, [getattr(row, part) for row in rows], names)
    return found


def _buckets(rows: Sequence[BucketRows]) -> pa.Table:
    score = pa.array([row.score for row in rows], pa.float64())
    return pa.table(
        {
            **_keys(rows, np.ones(len(rows), np.int64)),
            "score": score,
            "initial_score": score,
            "event_count": pa.array([row.event_count for row in rows], pa.int64()),
            "late_event_count": pa.array(np.zeros(len(rows), np.int64)),
            "scheduled_events": pa.array(
                [list(row.scheduled_events) for row in rows], pa.list_(pa.string())
            ),
            "processing_time_ms": pa.array([row.processing_time_ms for row in rows], pa.float64()),
        }
    )


def _keys(rows: Sequence[BucketRows], counts: Codes) -> dict[str, "pa.Array[Any]"]:
    """Give what names the bucket, once for each of its parts."""
    place = np.repeat(np.arange(len(rows)), counts)
    return {
        "job_id": pa.array([row.job_id for row in rows], pa.string()).take(place),
        "timestamp": stamps(row.start_s for row in rows).take(place),
        "span_s": pa.array([row.span_s for row in rows], pa.int64()).take(place),
        "is_interim": pa.array([row.is_interim for row in rows], pa.bool_()).take(place),
    }


def _parts(
    rows: Sequence[BucketRows], parts: Sequence[_Scored | Plotted], names: list[str]
) -> pa.Table:
    counts = np.array([len(part) for part in parts], np.int64)
    some = [part for part in parts if len(part)]
    columns = {name: _column(name, [getattr(part, name) for part in some]) for name in names}
    if "score" in columns:
        columns["initial_score"] = columns["score"]
    return pa.table({**_keys(rows, counts), **columns})


def _column(name: str, parts: Sequence[Any]) -> "pa.Array[Any]":
    kind = _KINDS.get(name)
    if kind is None:
        return pa.array(list(chain.from_iterable(parts)), pa.string())
    if not parts:
        return pa.array([], kind)
    # From pandas: NaN is NULL.
    return pa.array(np.concatenate(parts), kind, from_pandas=True)
