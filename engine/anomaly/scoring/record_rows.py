"""The records of a bucket as rows, each with what explains it.

The explanation is a JSON object: whether the value is a spike or a dip, how long it has been so,
what one bucket and several say, what was expected and what the season adds, which ceiling bounds
the score, and what the model has to add (ELi-08).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.anomaly.definition import Detector, Job
from engine.anomaly.influence.influencing import Influences
from engine.anomaly.models.causes import causes_of
from engine.anomaly.results.result_rows import Records
from engine.anomaly.scores.normalizer import CEILINGS
from engine.anomaly.scores.raw_score import probability
from engine.anomaly.scores.verdict import Picked, impact
from engine.anomaly.values import Judgement, Keys

__all__ = ["Told", "records_of"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Field = tuple[str, Influences, npt.NDArray[np.object_]]

_NUMBERS = ("actual", "typical", "lower", "upper", "season", "ln_p_single", "ln_p_multi")
_INFLUENCERS_MAX = 10  # values of a field that a record names
_HIGH_VARIANCE = 1.0  # a band wider than the value that is typical


@dataclass(frozen=True, slots=True)
class Told:
    """Probabilities, scopes and scores of the records of all detectors; shape (n,) each."""

    probability: Numbers
    raw: Numbers
    scope: Codes
    score: Numbers
    ceiling: Codes


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the judgements say of the records, side by side."""

    numbers: dict[str, Numbers]
    length: Codes
    first: npt.NDArray[np.bool_]
    description: list[str]
    more: list[dict[str, Any]]


def records_of(
    job: Job,
    judged: Sequence[tuple[Sequence[Judgement], Picked]],
    keys: Sequence[Keys],
    told: Told,
    fields: Sequence[Field],
    *,
    interim: bool,
) -> Records:
    """Make the rows.

    Parameters
    ----------
    job : Job
    judged : sequence of tuple
        By detector: the judgements of its parts, and the unusual records.
    keys : sequence of Keys
        By detector.
    told : Told
        Of the records, in the order of detectors.
    fields : sequence of tuple
        Influencer field, influences on the records, names of the entities by their codes.
    interim : bool
    """
    names: dict[str, Any] = {name: [] for name in _NAMES}
    facts, causes = [], []
    for detector, own, (parts, picked) in zip(job.detectors, keys, judged, strict=False):
        facts.append(_facts(detector, parts, picked))
        causes.extend(_causes(detector, parts, own, picked))
        for name, column in _named(detector, own, picked).items():
            names[name].extend(column)
    numbers = {name: np.concatenate([each.numbers[name] for each in facts]) for name in _NUMBERS}
    sizes = [len(each.length) for each in facts]
    impacts = impact(numbers["ln_p_single"], numbers["ln_p_multi"])
    explained = _explained(facts, numbers, told, impacts, interim=interim)
    return Records(
        score=told.score,
        raw_score=told.raw,
        probability=told.probability,
        scope=told.scope,
        ceiling=told.ceiling,
        detector_index=np.repeat(np.arange(len(sizes)), sizes),
        function_description=[text for each in facts for text in each.description],
        **names,
        **{name: numbers[name] for name in ("actual", "typical", "lower", "upper")},
        multi_bucket_impact=impacts,
        influencers=_influencers(len(told.score), fields),
        causes=causes,
        explanation=explained,
    )


_KINDS = ("by", "over", "partition")
_NAMES = (
    *("function", "field_name"),
    *(f"{kind}_field_{what}" for kind in _KINDS for what in ("name", "value")),
)


def _named(detector: Detector, keys: Keys, picked: Picked) -> dict[str, list[Any]]:
    """Give the names of the series of the records."""
    size = len(picked.series)
    named: dict[str, list[Any]] = {
        "function": [detector.settings.function] * size,
        "field_name": [detector.settings.field_name] * size,
    }
    for kind, name in zip(_KINDS, detector.key_fields, strict=True):
        named[f"{kind}_field_name"] = [name] * size
        values = getattr(keys, kind)[picked.series].tolist() if name is not None else [None] * size
        named[f"{kind}_field_value"] = values
    return named


def _facts(detector: Detector, parts: Sequence[Judgement], picked: Picked) -> _Facts:
    numbers = {name: np.empty(len(picked.series)) for name in _NUMBERS}
    length = np.empty(len(picked.series), np.int64)
    first = np.empty(len(picked.series), np.bool_)
    description = [detector.bases[part] for part in picked.part.tolist()]
    more: list[dict[str, Any]] = [{} for _ in description]
    for part, judgement in enumerate(parts):
        where = np.flatnonzero(picked.part == part)
        place = picked.place[where]
        for name, column in numbers.items():
            column[where] = getattr(judgement, name)[place]
        length[where], first[where] = judgement.length[place], judgement.first[place]
        for name, facts in judgement.more.items():
            for at, value in zip(where.tolist(), facts[place].tolist(), strict=True):
                if not (value is None or (isinstance(value, float) and math.isnan(value))):
                    more[at][name] = value
    return _Facts(numbers, length, first, [str(text) for text in description], more)


def _explained(
    facts: Sequence[_Facts],
    numbers: dict[str, Numbers],
    told: Told,
    impacts: Numbers,
    *,
    interim: bool,
) -> list[str]:
    single = probability(numbers["ln_p_single"]).tolist()
    multi = probability(numbers["ln_p_multi"]).tolist()
    columns = {name: column.tolist() for name, column in numbers.items()}
    rows = [
        (own.length[at], own.first[at], own.more[at])
        for own in facts
        for at in range(len(own.length))
    ]
    explained = []
    for at, (length, first, more) in enumerate(rows):
        actual, typical = columns["actual"][at], columns["typical"][at]
        band = columns["upper"][at] - columns["lower"][at]
        said = {
            "anomaly_type": _kind(actual, typical),
            "anomaly_length": int(length),
            "caused_by": "several buckets" if impacts[at] > 0 else "the bucket alone",
            "single_bucket_probability": single[at],
            "multi_bucket_probability": multi[at],
            "typical_value": _number(typical),
            "lower_confidence_bound": _number(columns["lower"][at]),
            "upper_confidence_bound": _number(columns["upper"][at]),
            "season": _number(columns["season"][at]),
            "ceiling": CEILINGS[int(told.ceiling[at])],
            "high_variance_penalty": bool(band > _HIGH_VARIANCE * abs(typical)),
            "incomplete_bucket_penalty": interim,
            "first_occurrence": bool(first),
            **more,
        }
        explained.append(json.dumps(said, ensure_ascii=False))
    return explained


def _kind(actual: float, typical: float) -> str | None:
    if actual > typical:
        return "spike"
    return "dip" if actual < typical else None


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _influencers(size: int, fields: Sequence[Field]) -> list[str | None]:
    """Give, as JSON, the entities that each record leaves with, those of most influence first."""
    found: list[list[dict[str, Any]]] = [[] for _ in range(size)]
    for name, influences, entities in fields:
        if not len(influences.record):
            continue
        order = np.lexsort((influences.entity, -influences.share, influences.record))
        record = influences.record[order]
        first = np.flatnonzero(np.append(True, record[1:] != record[:-1]))
        texts = entities[influences.entity[order]].tolist()
        for start, end in zip(first.tolist(), [*first[1:].tolist(), len(record)], strict=True):
            found[int(record[start])].append(
                {
                    "influencer_field_name": name,
                    "influencer_field_values": texts[start:end][:_INFLUENCERS_MAX],
                }
            )
    return [json.dumps(each, ensure_ascii=False) for each in found]


def _causes(
    detector: Detector, parts: Sequence[Judgement], keys: Keys, picked: Picked
) -> list[str | None]:
    """Give, as JSON, what makes entities of a population unusual; None of other detectors."""
    if detector.settings.over_field_name is None:
        return [None] * len(picked.series)
    told: list[str | None] = [None] * len(picked.series)
    for part, judgement in enumerate(parts):
        where = np.flatnonzero(picked.part == part)
        found = causes_of(keys, judgement, picked.place[where])
        for at, places in zip(where.tolist(), found, strict=True):
            causes = [_cause(detector, part, judgement, keys, each) for each in places.tolist()]
            told[at] = json.dumps(causes, ensure_ascii=False)
    return told


def _cause(
    detector: Detector, part: int, judgement: Judgement, keys: Keys, place: int
) -> dict[str, Any]:
    series = int(judgement.series[place])
    named: dict[str, Any] = {
        "function": detector.settings.function,
        "function_description": detector.bases[part],
        "field_name": detector.settings.field_name,
    }
    for kind, name in zip(_KINDS, detector.key_fields, strict=True):
        if name is not None:
            named[f"{kind}_field_name"] = name
            named[f"{kind}_field_value"] = getattr(keys, kind)[series]
    named["actual"] = _number(float(judgement.actual[place]))
    named["typical"] = _number(float(judgement.typical[place]))
    named["probability"] = float(probability(judgement.ln_p[place]))
    return named
