"""Buckets without any rows, many at once: what closing them one by one gives, at less cost.

In such a gap most models say nothing and learn nothing; only a count without a split sees that it
is 0. It is asked bucket by bucket, since each bucket changes what it expects of the next one; all
the rest of a bucket (influencers, records, what other models say, the decay of score histories) is
the same for all of them. A bucket in which something is unusual ends the run: it is for `Scorer`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engine.anomaly.definition import Detector, Job
from engine.anomaly.gather.measured import Measured
from engine.anomaly.job_state import JobState
from engine.anomaly.results.result_rows import BucketRows
from engine.anomaly.scores.verdict import of_bucket
from engine.anomaly.scoring.bucket_scores import BucketScores
from engine.anomaly.scoring.judged import Judged
from engine.anomaly.scoring.model_plots import plotted
from engine.anomaly.skipping import Skips
from engine.anomaly.values import Keys, Values

__all__ = ["Silence"]

Judge = Callable[[Detector, Measured, float | None], Judged]

_NO_CODES: npt.NDArray[np.int64] = np.zeros(0, np.int64)
_NO_VALUES: npt.NDArray[np.float64] = np.zeros(0)


class Silence:
    """Scores gaps of one job.

    Parameters
    ----------
    job : Job
    state : JobState
        Its models and histories; changed in place.
    skips : Skips
    scores : BucketScores
    judge : callable
        Says what the models of a detector make of a bucket.
    """

    def __init__(
        self, job: Job, state: JobState, skips: Skips, scores: BucketScores, judge: Judge
    ) -> None:
        self._job = job
        self._state = state
        self._skips = skips
        self._scores = scores
        self._judge = judge
        self._silent: dict[int, Judged] = {}

    def end(self) -> None:
        """Take it that a bucket was closed elsewhere: every model is to be asked again."""
        self._silent = {}

    def close(self, keys: Sequence[Keys], start_s: int, count: int) -> list[BucketRows]:
        """Score empty buckets in a row, and learn them, up to one with something unusual.

        Parameters
        ----------
        keys : sequence of Keys
            By detector.
        start_s : int
            Start of the first one.
        count : int
            How many there are.

        Returns
        -------
        list of BucketRows
            Of the first of them; none where the first one already is unusual.
        """
        span_s, found = self._job.span_s, list[BucketRows]()
        for at_s in range(start_s, start_s + count * span_s, span_s):
            measured = self._nothing(keys, at_s)
            judged = self._judged(measured, None)
            rows = self._rows(judged, at_s, interim=False)
            if rows is None:
                break
            if len(self._silent) < len(judged):
                rows = replace(rows, plotted=plotted(self._job, judged, keys))
            found.append(rows)
            self._learn(judged, measured, calm=not rows.scheduled_events)
        self._state.levels.rest(range(start_s, start_s + len(found) * span_s, span_s))
        return found

    def look(self, keys: Sequence[Keys], start_s: int, completeness: float) -> BucketRows | None:
        """Score a bucket that is open and still empty; None if something is unusual."""
        measured = self._nothing(keys, start_s)
        return self._rows(self._judged(measured, completeness), start_s, interim=True)

    def _nothing(self, keys: Sequence[Keys], start_s: int) -> Measured:
        values = (
            Values(start_s, self._job.span_s, own, _NO_CODES, _NO_VALUES, _NO_CODES, gap=True)
            for own in keys
        )
        per_detector = zip(values, self._job.detectors, strict=True)
        return Measured(start_s, 0, tuple((v,) * len(d.bases) for v, d in per_detector), ())

    def _judged(self, measured: Measured, completeness: float | None) -> list[Judged]:
        """Ask the models; who said nothing of a bucket in a gap says nothing of the next one."""
        found = []
        for each in self._job.detectors:
            said = self._silent.get(each.index)
            if said is None:
                said = self._judge(each, measured, completeness)
                if not any(len(part.series) for part in said.parts):
                    self._silent[each.index] = said
            found.append(said)
        return found

    def _rows(self, judged: Sequence[Judged], start_s: int, *, interim: bool) -> BucketRows | None:
        if any(len(said.unusual.series) for said in judged):
            return None
        scheduled = self._skips.scheduled(start_s, self._job.span_s)
        ln_p = 0.0 if scheduled else of_bucket([said.ln_p for said in judged])
        return self._scores.quiet(start_s, (scheduled, interim), ln_p)

    def _learn(self, judged: Sequence[Judged], measured: Measured, *, calm: bool) -> None:
        for index, said in enumerate(judged):
            if index in self._silent:
                continue
            models, values = self._state.models[index], measured.values[index]
            for model, value, part, keep in zip(models, values, said.parts, said.keep, strict=True):
                model.learn(value, part, keep if calm else np.zeros_like(keep))
