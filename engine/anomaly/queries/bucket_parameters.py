"""What a request for results may ask: which ones, in which order, which page of them.

Values come as JSON or as the text of a query string; -1 is no limit of time, null no value at all.
A page is an object ``page`` with `from` and `size`, or these two on their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.anomaly.queries.asked_values import (
    double_of,
    flag_of,
    instant_of,
    integer_of,
    span_of,
    unset,
)
from engine.anomaly.queries.result_relations import BUCKETS, INFLUENCERS, RECORDS, Relation
from engine.query.parse_faults import Faults

__all__ = [
    "SIZE_MAX",
    "BucketParameters",
    "OverallParameters",
    "ResultParameters",
    "influencer_parameters_of",
    "overall_parameters_of",
    "parameters_of",
    "record_parameters_of",
]

SIZE_MAX: Final = 10_000
"""Results of one page."""

_FROM_MAX = 2**62
_TOP_MAX = 1_000_000
_PAGE = ("from", "size")
_COMMON = ("desc", "end", "exclude_interim", "page", *_PAGE, "sort", "start")
_OVERALL = ("bucket_span", "end", "exclude_interim", "overall_score", "start", "top_n")
_RESTRICTING = ("start", "end", "anomaly_score", "page", *_PAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultParameters:
    """Which results are asked for.

    Attributes
    ----------
    score : float
        Only results of at least this score.
    start_us, end_us : int or None
        Only results at start <= timestamp < end, microseconds since the epoch.
    exclude_interim : bool
    skip, size : int
        Matches before the page, and the most that are on it.
    sort : str
        A field of the answer.
    desc : bool
    """

    score: float = 0.0
    start_us: int | None = None
    end_us: int | None = None
    exclude_interim: bool = False
    skip: int = 0
    size: int = 100
    sort: str
    desc: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketParameters(ResultParameters):
    """Which buckets are asked for, and how much of them.

    Attributes
    ----------
    expand : bool
        With their records.
    restricting : tuple of str
        What was told of start, end, score and page; a look-up by timestamp goes without.
    """

    sort: str = "timestamp"
    expand: bool = False
    restricting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallParameters:
    """Which overall buckets are asked for.

    Attributes
    ----------
    top_n : int
        Scores of as many jobs are averaged.
    span_s : int or None
        None: the longest span of the jobs.
    score : float
    start_us, end_us : int or None
    exclude_interim : bool
        Without overall buckets any part of which is interim.
    """

    top_n: int = 1
    span_s: int | None = None
    score: float = 0.0
    start_us: int | None = None
    end_us: int | None = None
    exclude_interim: bool = False


def parameters_of(told: Mapping[str, object]) -> BucketParameters:
    """Read what get-buckets is asked.

    Raises
    ------
    QueryError
        An unknown key, or a value that breaks its rule; all of them, a line each.

    Examples
    --------
    >>> asked = parameters_of({"anomaly_score": 80, "start": "1454530200001"})
    >>> asked.score, asked.start_us, asked.size
    (80.0, 1454530200001000, 100)
    """
    faults = Faults()
    known = faults.entries(dict(told), "parameters", ("anomaly_score", "expand", *_COMMON))
    common = _common(faults, known, BUCKETS, "timestamp")
    expand = flag_of(faults, known.get("expand", False), "expand")
    faults.raise_any()
    restricting = tuple(key for key in _RESTRICTING if key in known and not unset(known[key]))
    return BucketParameters(**common, expand=expand, restricting=restricting)


def record_parameters_of(told: Mapping[str, object]) -> ResultParameters:
    """Read what get-records is asked: by default the least `record_score` comes first.

    Raises
    ------
    QueryError
    """
    return _results_of(told, RECORDS)


def influencer_parameters_of(told: Mapping[str, object]) -> ResultParameters:
    """Read what get-influencers is asked: by default the least `influencer_score` comes first.

    Raises
    ------
    QueryError
    """
    return _results_of(told, INFLUENCERS)


def overall_parameters_of(told: Mapping[str, object]) -> OverallParameters:
    """Read what get-overall-buckets is asked.

    Raises
    ------
    QueryError
    """
    faults = Faults()
    known = faults.entries(dict(told), "parameters", _OVERALL)
    span = known.get("bucket_span")
    found = OverallParameters(
        top_n=integer_of(faults, known.get("top_n", 1), "top_n", 1, _TOP_MAX),
        span_s=None if span is None else span_of(faults, span, "bucket_span"),
        score=double_of(faults, known.get("overall_score", 0.0), "overall_score"),
        **_window(faults, known),
    )
    faults.raise_any()
    return found


def _results_of(told: Mapping[str, object], relation: Relation) -> ResultParameters:
    faults = Faults()
    known = faults.entries(dict(told), "parameters", (relation.score, *_COMMON))
    common = _common(faults, known, relation, relation.score)
    faults.raise_any()
    return ResultParameters(**common)


def _common(
    faults: Faults, known: Mapping[str, object], relation: Relation, sort: str
) -> dict[str, Any]:
    page = faults.entries(known.get("page", {}), "page", _PAGE)
    for key in _PAGE:
        if key in page and key in known:
            faults.say(f"`page.{key}` must be absent where `{key}` is told")
    paged = {**known, **page}
    return {
        "score": double_of(faults, known.get(relation.score, 0.0), relation.score),
        **_window(faults, known),
        "skip": integer_of(faults, paged.get("from", 0), "from", 0, _FROM_MAX),
        "size": integer_of(faults, paged.get("size", 100), "size", 0, SIZE_MAX),
        "sort": faults.choice(known.get("sort", sort), "sort", tuple(relation.sorts)) or sort,
        "desc": flag_of(faults, known.get("desc", False), "desc"),
    }


def _window(faults: Faults, known: Mapping[str, object]) -> dict[str, Any]:
    return {
        "start_us": instant_of(faults, known.get("start", -1), "start"),
        "end_us": instant_of(faults, known.get("end", -1), "end"),
        "exclude_interim": flag_of(faults, known.get("exclude_interim", False), "exclude_interim"),
    }
