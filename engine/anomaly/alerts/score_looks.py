"""What a rule on scores sees in one bucket, and what it says of it to a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.anomaly.results.result_rows import BucketRows, Influencers, Records
from engine.config import AnomalyRuleSettings

__all__ = ["Look", "ScoredBucket", "look_at", "message"]

Flags = npt.NDArray[np.bool_]

_NAMED = 3  # influencers in a message
_KEYS = ("by", "over", "partition")


@dataclass(frozen=True, slots=True, eq=False)
class ScoredBucket:
    """The results of a bucket that closed or, interim, as it stood.

    Attributes
    ----------
    closed_us : int
        The watermark at which it closed, or for which it was looked at.
    """

    rows: BucketRows
    closed_us: int


@dataclass(frozen=True, slots=True)
class Look:
    """One bucket as a rule sees it.

    Attributes
    ----------
    score : float
        The greatest of the results that the rule is on; 0 of none.
    samples : int
        How many of them are at or above the threshold.
    top : str
        What stands out, in words; empty where none of them is.
    """

    start_s: int
    end_s: int
    is_interim: bool
    score: float
    samples: int
    top: str


def look_at(rule: AnomalyRuleSettings, bucket: ScoredBucket) -> Look:
    """Give what a rule sees in a bucket of its job."""
    rows = bucket.rows
    influencers = np.ones(len(rows.influencers), np.bool_)
    records = np.ones(len(rows.records), np.bool_)
    if rule.field is not None and rule.result_type == "influencer":
        influencers = _equal(rows.influencers.field_name, rule.field)
    elif rule.field is not None and rule.result_type == "record":
        records = _with_field(rows.records, rule.field)
    scores = {
        "bucket": np.array([rows.score]),
        "influencer": rows.influencers.score[influencers],
        "record": rows.records.score[records],
    }[rule.result_type]
    samples = int(np.count_nonzero(scores >= rule.threshold))
    return Look(
        rows.start_s,
        rows.start_s + rows.span_s,
        rows.is_interim,
        float(scores.max(initial=0.0)),
        samples,
        _top(rows, influencers, records) if samples else "",
    )


def message(rule: AnomalyRuleSettings, window: Sequence[Look]) -> str:
    """Say what a rule saw in its window, buckets in order of time."""
    best = max(window, key=lambda look: (look.score, look.end_s))
    span = f"from {_time(window[0].start_s)} to {_time(window[-1].end_s)} UTC"
    interim = " so far (interim)" if window[-1].is_interim else ""
    kind = f"the {'' if rule.result_type == 'bucket' else 'greatest '}{rule.result_type} score"
    when = f" in the bucket of {_time(best.start_s)}" if len(window) > 1 else ""
    return (
        f"{rule.name}: {kind} of anomaly job {rule.anomaly_job} was {best.score:.6g} {span}"
        f"{interim}, at or above its threshold {rule.threshold:.6g}{when}: {best.top}"
    )


def _time(seconds: int) -> str:
    return str(np.datetime64(seconds, "s")).replace("T", " ")


def _equal(values: Any, wanted: str) -> Flags:
    return np.array([value == wanted for value in values], np.bool_)


def _with_field(records: Records, field: str) -> Flags:
    names = (records.field_name, *(getattr(records, f"{kind}_field_name") for kind in _KEYS))
    found: Flags = np.logical_or.reduce([_equal(column, field) for column in names])
    return found


def _top(rows: BucketRows, influencers: Flags, records: Flags) -> str:
    """Name the greatest record, and the greatest influencers."""
    parts = [_record(rows.records, np.flatnonzero(records))]
    named = _influencers(rows.influencers, np.flatnonzero(influencers))
    if named:
        parts.append(f"influencers {', '.join(named)}")
    return "; ".join(parts)


def _record(records: Records, places: npt.NDArray[np.int64]) -> str:
    if not len(places):
        return "no record stands out"
    score = records.score[places]
    best = min(
        places[score == score.max()].tolist(),
        key=lambda n: (
            int(records.detector_index[n]),
            str(records.function_description[n]),
            int(records.scope[n]),
        ),
    )
    field = records.field_name[best]
    function = str(records.function[best]) + ("" if field is None else f"({field})")
    actual, typical = float(records.actual[best]), float(records.typical[best])
    was = " had no value" if np.isnan(actual) else f" was {actual:.6g}"
    usual = "" if np.isnan(typical) else f", typically {typical:.6g}"
    return f"{function}{_keys(records, best)}{was}{usual} (record score {records.score[best]:.1f})"


def _keys(records: Records, place: int) -> str:
    """Name the series of a record."""
    found = []
    for kind in _KEYS:
        name = getattr(records, f"{kind}_field_name")[place]
        value = getattr(records, f"{kind}_field_value")[place]
        if name is not None:
            found.append(f"{name} {'(none)' if value is None else value}")
    return f" of {', '.join(found)}" if found else ""


def _influencers(influencers: Influencers, places: npt.NDArray[np.int64]) -> list[str]:
    score = influencers.score
    told = [
        (-float(score[n]), str(influencers.field_name[n]), str(influencers.field_value[n]))
        for n in places.tolist()
        if score[n] > 0.0
    ]
    return [f"{name} {value} ({-least:.1f})" for least, name, value in sorted(told)[:_NAMED]]
