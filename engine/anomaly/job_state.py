"""Everything that a job has learned: models, shares, entities, score histories, counters."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.definition import Detector, Job
from engine.anomaly.influence.entities import Entities
from engine.anomaly.influence.shares import Shares
from engine.anomaly.models.frequent import Excluding, Frequent
from engine.anomaly.models.model_kinds import model_of, new_model
from engine.anomaly.scores.levels import BUCKET, RECORD, Levels, bucket_level, influencer_level
from engine.anomaly.values import Model

__all__ = ["STATE_VERSION", "Counters", "JobState"]

Arrays = Mapping[str, npt.NDArray[Any]]

STATE_VERSION = 1

_ENTITIES_MAX = 100_000  # of an influencer field
_PAIRS_MAX = 200_000  # of series and entities, a detector and field
_ADDITIVE = frozenset(("count", "sum", "distinct_count"))


@dataclass(slots=True)
class Counters:
    """What a job has processed (ELi-22); times are starts of buckets, in seconds.

    Attributes
    ----------
    missing_fields : int
        Rows that a detector without a filter could not use, because one of its fields was missing.
    ms_min, ms_max, ms_sum, ms_ewma : float
        Wall clock of a bucket.
    """

    records: int = 0
    late: int = 0
    missing_fields: int = 0
    buckets: int = 0
    empty_buckets: int = 0
    sparse_buckets: int = 0
    earliest_s: int | None = None
    latest_s: int | None = None
    latest_empty_s: int | None = None
    latest_sparse_s: int | None = None
    ms_min: float | None = None
    ms_max: float = 0.0
    ms_sum: float = 0.0
    ms_ewma: float = 0.0

    def time(self, elapsed_ms: float) -> None:
        """Note how long a bucket took; it is counted already."""
        self.ms_min = elapsed_ms if self.ms_min is None else min(self.ms_min, elapsed_ms)
        self.ms_max = max(self.ms_max, elapsed_ms)
        self.ms_sum += elapsed_ms
        self.ms_ewma += max(0.05, 1.0 / self.buckets) * (elapsed_ms - self.ms_ewma)


@dataclass(slots=True)
class JobState:
    """The state of one job.

    Attributes
    ----------
    models : list of list of Model
        By detector and base.
    shares : dict of (int, int, str) to Shares
        By detector, base and influencer field: where values add up, and the field does not split
        the detector.
    frequent : dict of int to Frequent
        By detector, of those with `exclude_frequent`.
    entities : dict of str to Entities
        By influencer field.
    levels : Levels
    counters : Counters
    next_s : int or None
        Start of the first bucket that is open; None before the first row.
    usual_events : float
        Weighted mean of the rows of a bucket that has any.
    """

    models: list[list[Model]]
    shares: dict[tuple[int, int, str], Shares]
    frequent: dict[int, Frequent]
    entities: dict[str, Entities]
    levels: Levels
    counters: Counters = field(default_factory=Counters)
    next_s: int | None = None
    usual_events: float = 0.0

    @classmethod
    def fresh(cls, job: Job) -> Self:
        """Give the state of a job that has seen nothing."""
        fields = job.influencers
        levels = (
            *(RECORD, BUCKET),
            *(bucket_level(each) for each in fields),
            *(influencer_level(each) for each in fields),
        )
        return cls(
            [[new_model(job, each, base) for base in each.bases] for each in job.detectors],
            {key: Shares(_PAIRS_MAX) for key in _shared(job)},
            {each.index: Frequent(excluding) for each, excluding in _excluding(job)},
            {each: Entities(_ENTITIES_MAX) for each in fields},
            Levels(job.settings.normalizer, levels),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all that grows with the series."""
        models = sum(model.nbytes for parts in self.models for model in parts)
        return models + sum(each.nbytes for each in self.shares.values())

    def to_stored(
        self, definition: str, registries: str
    ) -> tuple[str, dict[str, npt.NDArray[Any]]]:
        """Give the state as JSON and arrays, with the registries of the job's series."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for index, parts in enumerate(self.models):
            for part, model in enumerate(parts):
                arrays |= _prefixed(_model_prefix(index, part), model.to_arrays())
        for place, key in enumerate(sorted(self.shares)):
            arrays |= _prefixed(_share_prefix(place), self.shares[key].to_arrays())
        for index, frequent in self.frequent.items():
            arrays |= _prefixed(_frequent_prefix(index), frequent.to_arrays())
        told = {
            "definition": definition,
            "registries": registries,
            "entities": {name: each.to_json() for name, each in self.entities.items()},
            "levels": self.levels.to_json(),
            "counters": asdict(self.counters),
            "usual_events": self.usual_events.hex(),
        }
        return json.dumps(told, ensure_ascii=False), arrays

    @classmethod
    def of_stored(cls, job: Job, next_s: int, told_json: str, arrays: Arrays) -> tuple[Self, str]:
        """Read what `to_stored` gave; also gives the registries back."""
        told = json.loads(told_json)
        models = [
            [
                model_of(job, each, base, _part_of(_model_prefix(each.index, part), arrays))
                for part, base in enumerate(each.bases)
            ]
            for each in job.detectors
        ]
        shares = {
            key: Shares.of_arrays(_part_of(_share_prefix(place), arrays), _PAIRS_MAX)
            for place, key in enumerate(sorted(_shared(job)))
        }
        frequent = {
            each.index: Frequent.of_arrays(
                _part_of(_frequent_prefix(each.index), arrays), excluding
            )
            for each, excluding in _excluding(job)
        }
        entities = {
            name: Entities.of_json(text, _ENTITIES_MAX) for name, text in told["entities"].items()
        }
        levels = Levels.of_json(job.settings.normalizer, told["levels"])
        counters = Counters(**told["counters"])
        usual = float.fromhex(told["usual_events"])
        state = cls(models, shares, frequent, entities, levels, counters, next_s, usual)
        return state, told["registries"]


def _shared(job: Job) -> list[tuple[int, int, str]]:
    return [
        (each.index, part, name)
        for each in job.detectors
        for part, base in enumerate(each.bases)
        for name in job.influencers
        if base in _ADDITIVE and each.metric is None and name not in each.key_fields
    ]


def _excluding(job: Job) -> list[tuple[Detector, Excluding]]:
    told: dict[str, Excluding] = {"all": "all", "by": "by", "over": "over"}
    return [
        (each, told[each.settings.exclude_frequent])
        for each in job.detectors
        if each.settings.exclude_frequent is not None
    ]


def _model_prefix(index: int, part: int) -> str:
    return f"model.{index}.{part}."


def _share_prefix(place: int) -> str:
    return f"shares.{place}."


def _frequent_prefix(index: int) -> str:
    return f"frequent.{index}."


def _prefixed(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {prefix + name: np.asarray(array) for name, array in arrays.items()}


def _part_of(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    cut = len(prefix)
    return {name[cut:]: array for name, array in arrays.items() if name.startswith(prefix)}
