"""The scores of a bucket: its records, its influencers and the bucket itself, as rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.anomaly.definition import Job
from engine.anomaly.gather.measured import Measured
from engine.anomaly.job_state import JobState
from engine.anomaly.results.result_rows import BucketInfluencers, BucketRows, Influencers, Records
from engine.anomaly.scores.levels import (
    BUCKET,
    RECORD,
    Levels,
    Scored,
    bucket_level,
    influencer_level,
)
from engine.anomaly.scores.raw_score import probability, raw_score
from engine.anomaly.scores.verdict import LN_UNUSUAL, of_bucket
from engine.anomaly.scoring.judged import Influenced, Judged
from engine.anomaly.scoring.record_rows import Told, records_of

__all__ = ["BucketScores"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_BUCKET_TIME = "bucket_time"
_ZERO, _FIRST = np.zeros(1), np.zeros(1, np.int64)
_NO_RECORDS, _NO_INFLUENCERS = Records(), Influencers()

Top = tuple[str, str, str | None, float]


class BucketScores:
    """Scores the buckets of one job.

    Parameters
    ----------
    job : Job
    state : JobState
        Its histories learn; its entities are read.
    """

    def __init__(self, job: Job, state: JobState) -> None:
        self._job = job
        self._state = state

    def rows(
        self,
        measured: Measured,
        judged: list[Judged],
        found: list[Influenced],
        about: tuple[tuple[str, ...], bool],
        grown: dict[str, Codes] | None,
    ) -> BucketRows:
        """Score everything; with `grown` the histories learn it, too."""
        scheduled, interim = about
        bucket = measured.start_s, self._job.span_s
        told = [] if scheduled else judged
        found = [] if scheduled else found
        records = self._records(measured, told, found, (bucket, interim), grown)
        tops: list[Top] = [(BUCKET, _BUCKET_TIME, None, of_bucket([said.ln_p for said in told]))]
        influencers = []
        for each in found:
            influencers.append(self._influencers(each, bucket, grown))
            if len(each.entity):
                place = int(np.argmin(each.ln_p))
                name = self._state.entities[each.field].names[each.entity[place]]
                tops.append((bucket_level(each.field), each.field, name, float(each.ln_p[place])))
        whole = self._bucket_influencers(tops, bucket, grown)
        return BucketRows(
            job_id=self._job.job_id,
            start_s=measured.start_s,
            span_s=self._job.span_s,
            score=float(whole.score.max()),
            event_count=measured.event_count,
            is_interim=interim,
            scheduled_events=scheduled,
            bucket_influencers=whole,
            influencers=_together(influencers),
            records=records,
        )

    def quiet(
        self, start_s: int, about: tuple[tuple[str, ...], bool], ln_p: float
    ) -> BucketRows | None:
        """Give the rows of a bucket without events or records; nothing is learned of it.

        Parameters
        ----------
        start_s : int
        about : tuple
            As `rows` takes it.
        ln_p : float
            Of all detectors together; None comes back where it gives a score.
        """
        p = probability(np.array([ln_p]))
        if raw_score(p).any():
            return None
        scheduled, interim = about
        return BucketRows(
            job_id=self._job.job_id,
            start_s=start_s,
            span_s=self._job.span_s,
            score=0.0,
            event_count=0,
            is_interim=interim,
            scheduled_events=scheduled,
            bucket_influencers=BucketInfluencers(
                score=_ZERO,
                raw_score=_ZERO,
                probability=p,
                scope=_FIRST,
                ceiling=_FIRST,
                level=(BUCKET,),
                field_name=(_BUCKET_TIME,),
                field_value=(None,),
            ),
            influencers=_NO_INFLUENCERS,
            records=_NO_RECORDS,
        )

    def _scored(
        self,
        level: str,
        bucket: tuple[int, int],
        told: tuple[Numbers, Codes],
        grown: dict[str, Codes] | None,
    ) -> Scored:
        raw, scopes = told
        levels: Levels = self._state.levels
        if grown is None:
            return levels.score(level, raw, scopes)
        scored = levels.learn(level, bucket, raw, scopes)
        grown[level] = scored.grown
        return scored

    def _records(
        self,
        measured: Measured,
        judged: list[Judged],
        found: list[Influenced],
        about: tuple[tuple[int, int], bool],
        grown: dict[str, Codes] | None,
    ) -> Records:
        bucket, interim = about
        detectors = len(self._job.detectors)
        ln_p = np.concatenate([*(said.unusual.ln_p for said in judged), np.empty(0)])
        scopes = [said.unusual.series * detectors + at for at, said in enumerate(judged)]
        scope = np.concatenate([*scopes, np.empty(0, np.int64)])
        p = probability(ln_p)
        raw = raw_score(p)
        scored = self._scored(RECORD, bucket, (raw, scope), grown)
        if not len(ln_p):
            return Records()
        told = Told(p, raw, scope, scored.score, scored.ceiling)
        named = [
            (each.field, each.influences, self._state.entities[each.field].names) for each in found
        ]
        return records_of(
            self._job,
            [(said.told, said.unusual) for said in judged],
            [values[0].keys for values in measured.values],
            told,
            named,
            interim=interim,
        )

    def _influencers(
        self, found: Influenced, bucket: tuple[int, int], grown: dict[str, Codes] | None
    ) -> Influencers:
        kept = found.ln_p < LN_UNUSUAL
        entity, p = found.entity[kept], probability(found.ln_p[kept])
        raw = raw_score(p)
        scored = self._scored(influencer_level(found.field), bucket, (raw, entity), grown)
        return Influencers(
            score=scored.score,
            raw_score=raw,
            probability=p,
            scope=entity,
            ceiling=scored.ceiling,
            field_name=[found.field] * len(entity),
            field_value=self._state.entities[found.field].names[entity].tolist(),
        )

    def _bucket_influencers(
        self,
        tops: list[Top],
        bucket: tuple[int, int],
        grown: dict[str, Codes] | None,
    ) -> BucketInfluencers:
        """Score `bucket_time`, and the top of each field; a level without one learns a 0."""
        p = probability(np.array([ln_p for *_, ln_p in tops]))
        raw = raw_score(p)
        zero = np.zeros(1, np.int64)
        scored = {
            level: self._scored(level, bucket, (raw[i : i + 1], zero), grown)
            for i, (level, *_) in enumerate(tops)
        }
        for field in self._job.influencers:
            if bucket_level(field) not in scored and grown is not None:
                none = np.empty(0), np.empty(0, np.int64)
                self._scored(bucket_level(field), bucket, none, grown)
                if influencer_level(field) not in grown:
                    self._scored(influencer_level(field), bucket, none, grown)
        return BucketInfluencers(
            score=np.concatenate([each.score for each in scored.values()]),
            raw_score=raw,
            probability=p,
            scope=np.zeros(len(tops), np.int64),
            ceiling=np.concatenate([each.ceiling for each in scored.values()]),
            level=[level for level, *_ in tops],
            field_name=[name for _, name, *_ in tops],
            field_value=[value for _, _, value, _ in tops],
        )


def _together(parts: list[Influencers]) -> Influencers:
    """Put the influencers of all fields together."""
    some = [part for part in parts if len(part)]
    if not some:
        return Influencers()
    numbers: Mapping[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in some])
        for name in ("score", "raw_score", "probability", "scope", "ceiling")
    }
    texts: Mapping[str, Any] = {
        name: [text for part in some for text in getattr(part, name)]
        for name in ("field_name", "field_value")
    }
    return Influencers(**numbers, **texts)
