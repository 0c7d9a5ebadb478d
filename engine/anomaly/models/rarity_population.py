"""How rare a by value is among the entities of a population: ``rare`` and ``freq_rare`` with over.

Each entity with rows in a bucket is one trial. A value is the rarer the fewer of the *other*
entities ever showed it: z = log2((others + 1) / (others who showed it + .5)).

rare
    A pair of entity and value that was seen before is nothing new. A new one has
    p = P(a trial brings a new pair) x P(the value of a new pair is as rare as this), both learned,
    the former from the 31st bucket on: where entities try new values all the time, one more is
    usual. A pair seen k times keeps 1 / (k + 1) of ln p.
freq_rare
    The most that one trial has of z x log2(1 + rows), against that of all trials so far; p is
    multiplied by 1 + the pair's recent occurrences, as in `engine.anomaly.models.rarity`.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import Groups, looked_up
from engine.anomaly.models.magnitudes import Magnitudes, decay_of
from engine.anomaly.models.occurrences import Occurrences
from engine.anomaly.models.rarity import RECENT_DECAY, YOUNG_BUCKETS, rows_of
from engine.anomaly.models.streaks import Streaks
from engine.anomaly.values import Expected, Judgement, Values

__all__ = ["RareInPopulation"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LN_10 = float(np.log(10.0))
_GROUPS: Mapping[str, tuple[Any, ...]] = {
    "partitions": ("partition",),
    "items": ("partition", "by"),
    "members": ("partition", "over"),
}
_MEMORIES = ("shown", "trials", "pairs", "recent")


class RareInPopulation:
    """A model of the values of all entities; series are triples of value, entity and partition.

    Parameters
    ----------
    span_s : int
    frequent : bool
        ``freq_rare``: of rare values, many rows.
    """

    def __init__(self, span_s: int, *, frequent: bool = False) -> None:
        self._span_s, self._frequent = span_s, frequent
        self._groups = {name: Groups(fields) for name, fields in _GROUPS.items()}
        decay = decay_of(span_s)
        # Entities that showed an item, and all entities; trials of an entity, and all trials;
        # trials of a pair, and trials with a new pair.
        self._shown, self._trials, self._pairs = (Occurrences(decay) for _ in range(3))
        self._recent = Occurrences(RECENT_DECAY)
        self._sizes = Magnitudes()
        self._streaks = Streaks()

    def judge(self, values: Values, completeness: float | None = None) -> Judgement:
        """Say how rare the values of the entities are; a part of a bucket is judged as it is."""
        del completeness
        there = rows_of(values)
        series = values.series[there]
        item, member, part = (
            self._groups[name].of(values.keys)[series]
            for name in ("items", "members", "partitions")
        )
        z, shown, entities = self._rarity(series, item, member, part)
        count = values.count[there].astype(np.float64)
        ln_p = self._ln_p(series, part, z, count)
        unknown = np.full(len(series), np.nan)
        others = np.where(entities > 0.0, shown / np.maximum(entities, 1.0), np.nan)
        return Judgement(
            series=series,
            ln_p=ln_p,
            ln_p_single=ln_p,
            ln_p_multi=np.zeros(len(series)),
            actual=count,
            typical=others,
            lower=unknown,
            upper=unknown,
            season=unknown,
            length=self._streaks.with_bucket(series, ln_p, values.start_s, values.span_s),
            first=self._shown.weights(item, part) == 0.0,
            more={"by_field_relative_rarity": others},
            scratch=(item, member, part, z, count),
        )

    def _rarity(
        self, pair: Codes, item: Codes, member: Codes, part: Codes
    ) -> tuple[Numbers, Numbers, Numbers]:
        """Give z, the other entities that showed the value, and all other entities."""
        shown = self._shown.weights(item, part) - self._pairs.presence(pair, part)
        entities = self._shown.totals(part) - self._trials.presence(member, part)
        shown, entities = np.maximum(shown, 0.0), np.maximum(entities, 0.0)
        return np.maximum(np.log2((entities + 1.0) / (shown + 0.5)), 0.0), shown, entities

    def _ln_p(self, pair: Codes, part: Codes, z: Numbers, count: Numbers) -> Numbers:
        surprise = self._sizes.surprise(part, self._size(z, count), slack=1)
        if self._frequent:
            ln_p = np.log1p(self._recent.weights(pair, part)) - surprise * _LN_10
        else:
            new = (self._pairs.totals(part) + 0.5) / (self._trials.totals(part) + 1.0)
            known = self._pairs.weights(pair, part)
            ln_p = (np.log(np.minimum(new, 1.0)) - surprise * _LN_10) / (known + 1.0)
        young = self._trials.clocks(part) < YOUNG_BUCKETS
        return np.where(young, 0.0, np.minimum(ln_p, 0.0))

    def _size(self, z: Numbers, count: Numbers) -> Numbers:
        return 1.0 + (z * np.log2(1.0 + np.maximum(count, 0.0)) if self._frequent else z)

    def learn(self, values: Values, judgement: Judgement, keep: Flags) -> None:
        """Learn which entity showed what in a closed bucket."""
        self._streaks.learn(judgement.series, judgement.length, values.start_s)
        for groups in self._groups.values():
            groups.learn(values.keys)
        item, member, part, z, count = judgement.scratch
        active = np.unique(part)
        self._sizes.grow(int(active.max(initial=-1)) + 1)
        item, member, part = item[keep], member[keep], part[keep]
        pair, size = judgement.series[keep], self._size(z, count)[keep]
        new: Numbers = 1.0 - self._pairs.presence(pair, part)
        self._learn_sizes(member, part, size, new)
        self._learn_occurrences(active, (pair, item, member, part), new)

    def _learn_sizes(self, member: Codes, part: Codes, size: Numbers, new: Numbers) -> None:
        counts = np.ones(len(new), np.bool_) if self._frequent else new > 0.5
        trials, of = np.unique(member[counts], return_inverse=True)
        largest = np.zeros(len(trials))
        np.maximum.at(largest, of, size[counts])
        where = np.zeros(len(trials), np.int64)
        where[of] = part[counts]
        self._sizes.learn(where, largest, self._shown.decay)

    def _learn_occurrences(
        self, active: Codes, names: tuple[Codes, Codes, Codes, Codes], new: Numbers
    ) -> None:
        pair, item, member, part = names
        members, first, of = np.unique(member, return_index=True, return_inverse=True)
        places = np.searchsorted(active, part[first])
        newest = np.zeros(len(members))
        np.maximum.at(newest, of, new)
        joining = 1.0 - self._trials.presence(members, part[first])
        items, item_first, item_of = np.unique(item, return_index=True, return_inverse=True)
        shows = np.bincount(item_of, new, len(items)).astype(np.float64, copy=False)
        joined, brought = (
            np.bincount(places, gain, len(active)).astype(np.float64, copy=False)
            for gain in (joining, newest)
        )
        # At the beginning every pair is new, which says nothing of how often later ones are.
        counted = self._trials.clocks(active) >= YOUNG_BUCKETS
        tried = np.where(counted, np.bincount(places, minlength=len(active)), 0.0)
        brought = np.where(counted, brought, 0.0)
        one, each = np.ones(len(members)), np.ones(len(pair))
        self._shown.learn(active, joined, items, part[item_first], shows)
        self._trials.learn(active, tried, members, part[first], one)
        self._pairs.learn(active, brought, pair, part, each)
        self._recent.learn(active, brought, pair, part, each)

    def without(self, judgement: Judgement, places: Codes, values: Numbers) -> Numbers:
        """Give ln p of judged series, had they had so many rows."""
        there = values > 0.0
        if not self._frequent:
            return np.where(there, judgement.ln_p[places], 0.0)
        _, _, part, z, _ = judgement.scratch
        count = np.where(there, values, 0.0)
        ln_p = self._ln_p(judgement.series[places], part[places], z[places], count)
        return np.where(there, ln_p, 0.0)

    def expected(self, series: Codes, start_s: int) -> Expected:
        """Give the share of the other entities that showed the values, at any time."""
        del start_s
        known = series < len(self._groups["items"].of_series)
        item, member, part = (
            looked_up(self._groups[name].of_series, series)
            for name in ("items", "members", "partitions")
        )
        _, shown, entities = self._rarity(series, item, member, part)
        unknown = np.full(len(series), np.nan)
        share = np.where(known & (entities > 0.0), shown / np.maximum(entities, 1.0), np.nan)
        return Expected(share, unknown, unknown, unknown)

    def _memories(self) -> dict[str, Occurrences]:
        return {name: getattr(self, f"_{name}") for name in _MEMORIES}

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all series."""
        groups, memories = self._groups.values(), self._memories().values()
        own = self._sizes.nbytes + self._streaks.nbytes
        return own + sum(each.nbytes for each in groups) + sum(each.nbytes for each in memories)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays."""
        found: dict[str, npt.NDArray[Any]] = {"frequent": np.array([self._frequent], np.int64)}
        for name, groups in self._groups.items():
            found |= groups.to_arrays(name)
        for name, memory in self._memories().items():
            found |= memory.to_arrays(name)
        return found | self._sizes.to_arrays("sizes") | self._streaks.to_arrays()

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], span_s: int, side: int) -> Self:
        """Make the model of what `to_arrays` gave; `side` means nothing here."""
        del side
        found = cls(span_s, frequent=bool(arrays["frequent"][0]))
        for name, fields in _GROUPS.items():
            found._groups[name] = Groups.of_arrays(arrays, name, fields)
        for name, memory in found._memories().items():
            setattr(found, f"_{name}", Occurrences.of_arrays(arrays, name, memory.decay))
        found._sizes = Magnitudes.of_arrays(arrays, "sizes")
        found._streaks = Streaks.of_arrays(arrays)
        return found
