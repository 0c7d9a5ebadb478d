"""The models of one job, and what they make of a bucket: records, influencers, scores.

The path of a bucket: the values of each detector are judged by the models of its series -> custom
rules take out what is not to be told -> one probability of each detector, and of the bucket ->
every entity is left out of the unusual records -> raw scores, normalised by what each level has
seen -> rows. Then, of a bucket that closes, models, shares and histories learn it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engine.anomaly.definition import Detector, Job
from engine.anomaly.gather.measured import Contributions, Measured
from engine.anomaly.influence.influencing import Influences, joined, left_out, of_names
from engine.anomaly.job_state import JobState
from engine.anomaly.results.result_rows import BucketRows
from engine.anomaly.scores.combine import combine_influenced
from engine.anomaly.scores.verdict import LN_UNUSUAL, of_detector, pick
from engine.anomaly.scoring.bucket_scores import BucketScores
from engine.anomaly.scoring.judged import Influenced, Judged
from engine.anomaly.scoring.model_plots import plotted
from engine.anomaly.scoring.silence import Silence
from engine.anomaly.skipping import Skips
from engine.anomaly.values import Judgement, Keys

__all__ = ["Scorer"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Scorer:
    """Judges and learns the buckets of one job, in order of time.

    Parameters
    ----------
    job : Job
    state : JobState
        Its models, shares, entities and histories; changed in place.
    skips : Skips
    """

    def __init__(self, job: Job, state: JobState, skips: Skips) -> None:
        self._job = job
        self._state = state
        self._skips = skips
        self._scores = BucketScores(job, state)
        self._silence = Silence(job, state, skips, self._scores, self._judge)

    # ---- a bucket ---------------------------------------------------------------------------

    def close(self, measured: Measured) -> tuple[BucketRows, dict[str, Codes]]:
        """Score a bucket that closes, and learn it.

        Returns
        -------
        BucketRows
        dict of str to int64 array
            By level, the scopes whose maximum grew by more than a tenth (ELi-03).
        """
        self._silence.end()
        scheduled = self._skips.scheduled(measured.start_s, self._job.span_s)
        judged = [self._judge(each, measured, None) for each in self._job.detectors]
        brought = self._brought(measured)
        self._admit(measured, judged, brought)
        found = self._influenced(measured, judged)
        grown: dict[str, Codes] = {}
        rows = self._scores.rows(measured, judged, found, (scheduled, False), grown)
        keys = [values[0].keys for values in measured.values]
        rows = replace(rows, plotted=plotted(self._job, judged, keys))
        self._learn(measured, judged, brought, calm=not scheduled)
        return rows, {level: scopes for level, scopes in grown.items() if len(scopes)}

    def look(self, measured: Measured, completeness: float) -> BucketRows:
        """Score a bucket that is open still; nothing is learned.

        Parameters
        ----------
        completeness : float
            Share of the bucket that has passed.
        """
        scheduled = self._skips.scheduled(measured.start_s, self._job.span_s)
        judged = [self._judge(each, measured, completeness) for each in self._job.detectors]
        found = self._influenced(measured, judged)
        return self._scores.rows(measured, judged, found, (scheduled, True), None)

    def close_gap(self, keys: Sequence[Keys], start_s: int, count: int) -> list[BucketRows]:
        """Do what `close` does, for buckets without rows; see `Silence.close`."""
        return self._silence.close(keys, start_s, count)

    def look_at_gap(
        self, keys: Sequence[Keys], start_s: int, completeness: float
    ) -> BucketRows | None:
        """Do what `look` does, for a bucket without rows; None: it is for `look`."""
        return self._silence.look(keys, start_s, completeness)

    # ---- judging ----------------------------------------------------------------------------

    def _judge(self, detector: Detector, measured: Measured, completeness: float | None) -> Judged:
        models = self._state.models[detector.index]
        parts = tuple(
            model.judge(values, completeness)
            for model, values in zip(models, measured.values[detector.index], strict=True)
        )
        values = measured.values[detector.index][0]
        keep, told = [], []
        frequent = self._state.frequent.get(detector.index)
        for part in parts:
            hidden, frozen = self._skips.apply(detector.index, part, values.keys, measured.start_s)
            if frequent is not None:
                hidden = hidden | frequent.mask(replace(values, series=part.series))
            keep.append(~frozen)
            told.append(part if not hidden.any() else _silenced(part, hidden))
        picked = pick(told)
        unusual = picked.where(picked.ln_p < LN_UNUSUAL)
        return Judged(parts, tuple(keep), tuple(told), picked, unusual, of_detector(picked.ln_p))

    def _brought(self, measured: Measured) -> dict[tuple[int, int, str], Contributions]:
        """Give what entities have within the series, where it is learned."""
        return {
            (index, part, field): measured.contributions(
                index, self._job.detectors[index].bases[part], field
            )
            for index, part, field in self._state.shares
        }

    def _admit(
        self,
        measured: Measured,
        judged: list[Judged],
        brought: Mapping[tuple[int, int, str], Contributions],
    ) -> None:
        """Give numbers to the entities that come for the first time in a bucket that closes.

        Those of values that do not add up need one only where there is a result.
        """
        for field in self._job.influencers:
            texts: set[str] = set()
            for (_, _, name), own in brought.items():
                if name == field:
                    texts.update(own.entity.tolist())
            for detector, said in zip(self._job.detectors, judged, strict=True):
                index, series = detector.index, said.unusual.series
                kind = _kind_of(detector, field)
                if kind is not None:
                    names = getattr(measured.values[index][0].keys, kind)[series]
                    texts.update(name for name in names.tolist() if name is not None)
                elif len(series) and (index, 0, field) not in brought:
                    own = measured.contributions(index, detector.bases[0], field)
                    texts.update(own.entity[np.isin(own.series, series)].tolist())
            if texts:
                self._state.entities[field].admit(sorted(texts))

    def _influenced(self, measured: Measured, judged: list[Judged]) -> list[Influenced]:
        """Leave the entities of every influencer field out, and combine what each has."""
        found = []
        ln_p = np.concatenate([said.unusual.ln_p for said in judged])
        for field in self._job.influencers:
            parts, first = [], 0
            for detector, said in zip(self._job.detectors, judged, strict=True):
                own = self._influences(detector, said, measured, field)
                parts.append(Influences(own.record + first, own.entity, own.share))
                first += len(said.unusual.series)
            all_ = joined(parts)
            # Of an open bucket: what came up in it has no number yet.
            all_ = all_.where(all_.entity < len(self._state.entities[field]))
            entity, group = np.unique(all_.entity, return_inverse=True)
            combined = combine_influenced(ln_p[all_.record], all_.share, group, len(entity))
            found.append(Influenced(field, all_, entity, combined))
        return found

    def _influences(
        self, detector: Detector, said: Judged, measured: Measured, field: str
    ) -> Influences:
        entities, unusual = self._state.entities[field], said.unusual
        if not len(unusual.series):
            return joined([])
        values = measured.values[detector.index]
        kind = _kind_of(detector, field)
        if kind is not None:
            return of_names(unusual, values[0].keys, kind, entities)
        parts = []
        for part, judgement in enumerate(said.parts):
            base = detector.bases[part]

            def leaving(series: Codes, base: str = base) -> tuple[Codes, Codes, Numbers]:
                removed = measured.without(detector.index, base, series, field)
                return removed.place, entities.codes(removed.entity.tolist()), removed.value

            told = judgement, self._state.models[detector.index][part]
            usual = self._state.shares.get((detector.index, part, field))
            parts.append(left_out(unusual, part, told, leaving, usual))
        return joined(parts)

    # ---- learning ---------------------------------------------------------------------------

    def _learn(
        self,
        measured: Measured,
        judged: list[Judged],
        brought: Mapping[tuple[int, int, str], Contributions],
        *,
        calm: bool,
    ) -> None:
        for detector, said in zip(self._job.detectors, judged, strict=True):
            values = measured.values[detector.index]
            models = self._state.models[detector.index]
            for model, each, part, keep in zip(models, values, said.parts, said.keep, strict=True):
                model.learn(each, part, keep if calm else np.zeros_like(keep))
            frequent = self._state.frequent.get(detector.index)
            if frequent is not None:
                frequent.learn(values[0])
        for (index, part_, field), own in brought.items():
            if len(own.series):
                codes = self._state.entities[field].codes(own.entity.tolist())
                whole = measured.values[index][part_]
                shares = self._state.shares[index, part_, field]
                shares.learn(own.series, codes, own.amount, whole.series, whole.value)


def _kind_of(detector: Detector, field: str) -> str | None:
    """Say whether a field splits the detector, and how."""
    for kind, name in zip(("by", "over", "partition"), detector.key_fields, strict=True):
        if name == field:
            return kind
    return None


def _silenced(judgement: Judgement, hidden: Flags) -> Judgement:
    return replace(judgement, ln_p=np.where(hidden, 0.0, judgement.ln_p))
