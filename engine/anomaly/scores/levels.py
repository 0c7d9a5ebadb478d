"""The score histories of a job, one for each level of results, and the scores that they give.

A level is ``record``, ``influencer:FIELD``, ``bucket`` (of `bucket_time`) or ``bucket:FIELD``. Its
scopes are whole numbers: series, entities of the field, or 0.
"""

import json
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.scores.normalizer import NORMALIZERS, History, Normalizer

__all__ = ["BUCKET", "RECORD", "Levels", "Scored", "bucket_level", "influencer_level"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

BUCKET = "bucket"
RECORD = "record"


def influencer_level(field: str) -> str:
    """Name the level of the influencers of a field."""
    return f"influencer:{field}"


def bucket_level(field: str) -> str:
    """Name the level of a field's bucket influencer."""
    return f"bucket:{field}"


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of n results, the binding ceilings, and the scopes with a new maximum (ELi-03)."""

    score: Numbers
    ceiling: Codes
    grown: Codes


_NOTHING = np.empty(0, np.int64)


class Levels:
    """The histories of one job.

    Parameters
    ----------
    normalizer : str
        ``standard`` or ``elastic``.
    levels : sequence of str
    """

    def __init__(self, normalizer: str, levels: tuple[str, ...]) -> None:
        self.normalizer: Normalizer = NORMALIZERS[normalizer]
        self.histories: dict[str, History] = {level: History() for level in levels}

    def score(self, level: str, raw: Numbers, scopes: Codes) -> Scored:
        """Score raw scores by what was seen before; nothing is learned."""
        score, ceiling = self.normalizer.score(self.histories[level], raw, scopes)
        return Scored(score, ceiling, _NOTHING)

    def learn(self, level: str, bucket: tuple[int, int], raw: Numbers, scopes: Codes) -> Scored:
        """Learn the raw scores of a closed bucket, then score them.

        Parameters
        ----------
        level : str
        bucket : tuple of int
            Its start and span, seconds.
        raw : float64, shape (n,)
        scopes : int64, shape (n,)
        """
        start_s, span_s = bucket
        history, grown = self.normalizer.update(self.histories[level], start_s, span_s, raw, scopes)
        self.histories[level] = history
        if not len(raw):
            return Scored(raw, _NOTHING, grown)
        score, ceiling = self.normalizer.score(history, raw, scopes)
        return Scored(score, ceiling, grown)

    def rest(self, starts: range) -> None:
        """Learn consecutive buckets in which no level has a result, starts a span apart."""
        for level, history in self.histories.items():
            self.histories[level] = self.normalizer.rest(history, starts)

    def to_json(self) -> str:
        """Write all histories, exactly."""
        return json.dumps({level: each.to_json() for level, each in self.histories.items()})

    @classmethod
    def of_json(cls, normalizer: str, text: str) -> Self:
        """Read what `to_json` wrote."""
        levels = cls(normalizer, ())
        levels.histories = {
            level: History.of_json(told) for level, told in json.loads(text).items()
        }
        return levels
