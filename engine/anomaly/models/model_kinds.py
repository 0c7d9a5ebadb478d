"""Which model the series of a detector have."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from engine.anomaly.definition import Detector, Job
from engine.anomaly.functions import Base
from engine.anomaly.models.clocktimes import DAY_S, WEEK_S, ClockTimes
from engine.anomaly.models.population import Population
from engine.anomaly.models.rarity import Rare
from engine.anomaly.models.rarity_population import RareInPopulation
from engine.anomaly.models.series_model import SeriesModel
from engine.anomaly.values import Model

__all__ = ["model_of", "new_model"]

_ADDING = ("count", "distinct_count", "sum")
_OF_TIME: Mapping[Base, int] = {"time_of_day": DAY_S, "time_of_week": WEEK_S}


Other = ClockTimes | Rare | RareInPopulation | Population


def new_model(job: Job, detector: Detector, base: Base) -> Model:
    """Give a model that has seen nothing."""
    other = _other(job, detector, base)
    if other is not None:
        return other
    return SeriesModel(job.span_s, detector.function, split=detector.split)


def _other(job: Job, detector: Detector, base: Base) -> Other | None:
    """Give the model of a detector that is more than series of numbers."""
    span_s, function = job.span_s, detector.function
    if base in _OF_TIME:
        return ClockTimes(span_s, _OF_TIME[base])
    over = detector.settings.over_field_name is not None
    if base == "rare" and not over:
        return Rare(span_s)
    if base in {"rare", "freq_rare"}:
        return RareInPopulation(span_s, frequent=base == "freq_rare")
    if over:
        adds = base in _ADDING and detector.metric is None
        return Population(span_s, function.side, counts=function.counts, adds=adds)
    return None


def model_of(
    job: Job, detector: Detector, base: Base, arrays: Mapping[str, npt.NDArray[Any]]
) -> Model:
    """Give a model as its `to_arrays` told it."""
    other = _other(job, detector, base)
    if other is not None:
        return other.of_arrays(arrays, job.span_s, detector.function.side)
    return SeriesModel.of_arrays(arrays, job.span_s, detector.function, split=detector.split)
