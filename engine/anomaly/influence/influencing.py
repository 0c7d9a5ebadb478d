"""Which entities a bucket's unusual records leave with: each one is left out, and the rest judged.

The entities of a field that splits the detector own their series whole. All others are left out
of the rows of a series; of counts and sums what the entity usually brings is put in its place, so
that one that fell silent is found, too (`engine.anomaly.influence.shares`).
Source: contracts.md ELi-09; `engine.anomaly.scores.combine`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.anomaly.influence.entities import Entities
from engine.anomaly.influence.shares import Shares
from engine.anomaly.scores.combine import influence
from engine.anomaly.scores.verdict import Picked
from engine.anomaly.values import Judgement, Keys, Model

__all__ = ["Influences", "Leaving", "joined", "left_out", "of_names"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Influences:
    """Entities of one field that have influence on records.

    Attributes
    ----------
    record : int64, shape (m,)
        Place of the record among those of its detector.
    entity : int64, shape (m,)
        Code of the entity.
    share : float64, shape (m,)
        Of its unusualness that leaves with the entity, .4 to 1.
    """

    record: Codes
    entity: Codes
    share: Numbers

    def where(self, kept: npt.NDArray[np.bool_]) -> "Influences":
        """Give those where a flag is set."""
        return Influences(self.record[kept], self.entity[kept], self.share[kept])


_NONE = Influences(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


class Leaving(Protocol):
    """Gives the values of some series with one entity's rows taken out."""

    def __call__(self, series: Codes) -> tuple[Codes, Codes, Numbers]:
        """Give, for pairs: the place in `series`, the entity's code, the value without it."""
        ...


def joined(parts: Sequence[Influences]) -> Influences:
    """Put influences together."""
    if not parts:
        return _NONE
    return Influences(
        np.concatenate([each.record for each in parts]),
        np.concatenate([each.entity for each in parts]),
        np.concatenate([each.share for each in parts]),
    )


def of_names(picked: Picked, keys: Keys, kind: str, entities: Entities) -> Influences:
    """Give the entities of a field that splits the detector.

    Parameters
    ----------
    picked : Picked
        The unusual records of the detector.
    keys : Keys
    kind : str
        ``by``, ``over`` or ``partition``.
    entities : Entities
    """
    names = getattr(keys, kind)[picked.series]
    named = np.flatnonzero([name is not None for name in names])
    codes = entities.codes(names[named].tolist())
    return Influences(named, codes, np.ones(len(named))).where(codes >= 0)


def left_out(
    picked: Picked,
    part: int,
    told: tuple[Judgement, Model],
    leaving: Leaving,
    usual: Shares | None,
) -> Influences:
    """Leave every entity of a field out of the unusual records of one part of a detector.

    Parameters
    ----------
    picked : Picked
        The unusual records of the detector.
    part : int
        The part whose records are looked at.
    told : tuple
        What the part's model says of the bucket, and the model.
    leaving : Leaving
        Values without an entity.
    usual : Shares or None
        What the entities usually bring; None where values do not add up.
    """
    judgement, model = told
    records = np.flatnonzero(picked.part == part)
    if not len(records):
        return _NONE
    series, place = picked.series[records], picked.place[records]
    at, entity, value = leaving(series)
    if usual is not None:
        typical = np.nan_to_num(judgement.typical[place])
        actual = np.nan_to_num(judgement.actual[place])
        at, entity, value = _put_back(usual, series, (at, entity, value), (actual, typical))
    coded = entity >= 0
    at, entity, value = at[coded], entity[coded], value[coded]
    if not len(at):
        return _NONE
    without = model.without(judgement, place[at], value)
    share = influence(judgement.ln_p[place[at]], without)
    return Influences(records[at], entity, share).where(share > 0.0)


def _put_back(
    usual: Shares,
    series: Codes,
    left: tuple[Codes, Codes, Numbers],
    told: tuple[Numbers, Numbers],
) -> tuple[Codes, Codes, Numbers]:
    """Add what each entity usually brings; also of those that brought nothing this time."""
    (at, entity, value), (actual, typical) = left, told
    known_at, known, share = usual.expected(series)
    # A pair of place and entity, as one number.
    width = max(int(entity.max(initial=0)), int(known.max(initial=0))) + 2
    own, theirs = at * width + entity, known_at * width + known
    brought = share * typical[known_at]
    order = np.argsort(own, kind="stable")
    spot = np.minimum(np.searchsorted(own[order], theirs), max(len(own) - 1, 0))
    there = own[order][spot] == theirs if len(own) else np.zeros(len(theirs), np.bool_)
    found = value.copy()
    found[order[spot[there]]] += brought[there]
    absent = ~there
    return (
        np.concatenate([at, known_at[absent]]),
        np.concatenate([entity, known[absent]]),
        np.concatenate([found, actual[known_at[absent]] + brought[absent]]),
    )
