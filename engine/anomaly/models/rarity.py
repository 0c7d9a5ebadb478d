"""How rare a by value is among the buckets of its partition so far: the function ``rare``.

A value that occurs now was in w of the partition's n buckets before, both decayed. How unusual is
it that one as rare as that occurs? By Good and Turing, values seen w times come as often as all
values seen w + 1 times did::

    p = (sum of the weights of all values with a weight of at most w + 1, and .5) / (n + 1)

A value in every bucket has p = 1, a new one in a closed vocabulary .5 / (n + 1). In an open
vocabulary, where new values come in most buckets, nearly all weights are 1, and a new one is
nothing new. Two things are added:

gap
    Where no value is as rare, p falls by (1 + octaves to the next usual weight)^(-1/.6): among
    values that all are in every bucket a new one means more than among rarer and rarer ones.
fading
    p is multiplied by 1 + the recent occurrences (half-life 24 buckets with rows): a value that
    came to stay is reported a few times, one that comes back after long is reported again.

Source: Good 1953, "The population frequencies of species"; the gap as in the prototype's records.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import Groups, looked_up, size_of
from engine.anomaly.models.magnitudes import decay_of
from engine.anomaly.models.occurrences import Occurrences
from engine.anomaly.models.streaks import Streaks
from engine.anomaly.values import Expected, Judgement, Values

__all__ = ["RECENT_DECAY", "YOUNG_BUCKETS", "Rare", "good_turing", "rows_of"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

YOUNG_BUCKETS = 30
"""Buckets with rows that a partition needs before anything in it is unusual."""

RECENT_DECAY = float(0.5 ** (1 / 24))
"""What a bucket leaves of the memory of recent occurrences."""

_PRIOR, _GAP_INDEX = 0.5, 0.6


def rows_of(values: Values) -> Flags:
    """Say which series of a bucket have rows that count: none of them in a gap."""
    return (values.count > 0) & (not values.gap)


def good_turing(
    group: Codes, weight: Numbers, asked_group: Codes, asked: Numbers
) -> tuple[Numbers, Numbers]:
    """Add up, per question, the weights of its group that are at most one above it.

    Parameters
    ----------
    group : int64, shape (v,)
    weight : float64, shape (v,)
    asked_group : int64, shape (m,)
    asked : float64, shape (m,)

    Returns
    -------
    mass : float64, shape (m,)
    following : float64, shape (m,)
        The least weight of the group that is left out; `asked` + 1 if there is none.

    Examples
    --------
    >>> mass, following = good_turing(
    ...     np.zeros(3, np.int64), np.array([1.0, 1.0, 9.0]), np.array([0]), np.array([0.0])
    ... )
    >>> mass.tolist(), following.tolist()
    ([2.0], [9.0])
    """
    many, until = len(group), asked + 1.0
    groups = np.concatenate([group, asked_group])
    weights = np.concatenate([weight, until])
    question = np.arange(len(groups)) >= many
    order = np.lexsort((question, weights, groups))
    of, is_item = groups[order], ~question[order]
    running = np.cumsum(np.where(is_item, weights[order], 0.0))
    begins = np.searchsorted(of, of, side="left")
    before = np.where(begins > 0, running[np.maximum(begins - 1, 0)], 0.0)
    items = np.flatnonzero(is_item)
    at = np.flatnonzero(~is_item)
    after = np.searchsorted(items, at)
    place = items[np.minimum(after, max(many - 1, 0))] if many else at
    follows = (after < many) & (of[place] == of[at])
    target = order[at] - many
    mass, following = np.empty(len(asked)), np.empty(len(asked))
    mass[target] = running[at] - before[at]
    following[target] = np.where(follows, weights[order][place], until[target])
    return mass, following


class Rare:
    """A model of the by values of every partition; series are pairs of both.

    Parameters
    ----------
    span_s : int
    """

    def __init__(self, span_s: int) -> None:
        self._span_s = span_s
        self._partitions = Groups(("partition",))
        self._items = Groups(("partition", "by"))
        self._partition_of: Codes = np.zeros(0, np.int64)  # of items
        self._seen = Occurrences(decay_of(span_s))
        self._recent = Occurrences(RECENT_DECAY)
        self._streaks = Streaks()

    def judge(self, values: Values, completeness: float | None = None) -> Judgement:
        """Say how rare the values of a bucket are; a part of a bucket is judged as it is."""
        del completeness  # that a value occurs is known from its first row on
        there = rows_of(values)
        series = values.series[there]
        item, part = self._items.of(values.keys)[series], self._partitions.of(values.keys)[series]
        weight, total = self._seen.weights(item, part), self._seen.totals(part)
        ln_p, relative = self._rarity(item, part, weight, total)
        ln_p = np.where(self._seen.clocks(part) < YOUNG_BUCKETS, 0.0, ln_p)
        unknown = np.full(len(series), np.nan)
        return Judgement(
            series=series,
            ln_p=ln_p,
            ln_p_single=ln_p,
            ln_p_multi=np.zeros(len(series)),
            actual=values.count[there].astype(np.float64),
            typical=np.where(total > 0.0, weight / np.maximum(total, 1.0), np.nan),
            lower=unknown,
            upper=unknown,
            season=unknown,
            length=self._streaks.with_bucket(series, ln_p, values.start_s, values.span_s),
            first=weight == 0.0,
            more={"by_field_relative_rarity": relative},
            scratch=(item, part),
        )

    def _rarity(
        self, item: Codes, part: Codes, weight: Numbers, total: Numbers
    ) -> tuple[Numbers, Numbers]:
        """Give ln p, and the share of the value over the mean share of the partition's values."""
        active = np.zeros(max(size_of(part), size_of(self._partition_of)), np.bool_)
        active[part] = True
        known = np.flatnonzero(active[self._partition_of])
        of = self._partition_of[known]
        weights = self._seen.weights(known, of)
        mass, following = good_turing(of, weights, part, weight)
        gap = np.log2((following + 1.0) / (weight + 2.0))
        alone = np.maximum(1.0 - mass / _PRIOR, 0.0)
        ln_p = np.log(np.minimum((mass + _PRIOR) / (total + 1.0), 1.0))
        ln_p = ln_p - alone * np.log1p(np.maximum(gap, 0.0)) / _GAP_INDEX
        ln_p = ln_p + np.log1p(self._recent.weights(item, part))
        sums = np.bincount(of, weights, len(active))
        numbers = np.bincount(of, minlength=len(active))
        mean = sums[part] / np.maximum(numbers[part], 1)
        relative = np.where(mean > 0.0, weight / np.where(mean > 0.0, mean, 1.0), np.nan)
        return np.minimum(ln_p, 0.0), relative

    def learn(self, values: Values, judgement: Judgement, keep: Flags) -> None:
        """Learn which values occurred in a closed bucket."""
        self._streaks.learn(judgement.series, judgement.length, values.start_s)
        item, part = judgement.scratch
        partition_of_series = self._partitions.learn(values.keys)
        item_of_series = self._items.learn(values.keys)
        partition_of = np.zeros(size_of(item_of_series), np.int64)
        partition_of[item_of_series] = partition_of_series
        self._partition_of = partition_of
        active = np.unique(part)
        # A detector with an over field has several series of an item.
        kept, at = np.unique(item[keep], return_index=True)
        ones, where = np.ones(len(kept)), part[keep][at]
        for memory in (self._seen, self._recent):
            memory.learn(active, np.ones(len(active)), kept, where, ones)

    def without(self, judgement: Judgement, places: Codes, values: Numbers) -> Numbers:
        """Give ln p of judged series, had they had so many rows: any number is as rare as one."""
        there = values > 0.0
        return np.where(there, judgement.ln_p[places], 0.0)

    def expected(self, series: Codes, start_s: int) -> Expected:
        """Give the share of the partition's buckets in which the values occur, at any time."""
        del start_s
        known = series < len(self._items.of_series)
        item = looked_up(self._items.of_series, series)
        part = looked_up(self._partitions.of_series, series)
        total = np.maximum(self._seen.totals(part), 1.0)
        share = np.where(known, self._seen.weights(item, part) / total, np.nan)
        unknown = np.full(len(series), np.nan)
        return Expected(share, unknown, unknown, unknown)

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all series."""
        parts = (self._partitions, self._items, self._seen, self._recent, self._streaks)
        return sum(each.nbytes for each in parts) + self._partition_of.nbytes

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the whole state as numeric arrays."""
        return {
            **self._partitions.to_arrays("partitions"),
            **self._items.to_arrays("items"),
            "partition_of": self._partition_of.copy(),
            **self._seen.to_arrays("seen"),
            **self._recent.to_arrays("recent"),
            **self._streaks.to_arrays(),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], span_s: int, side: int) -> Self:
        """Make the model of what `to_arrays` gave; `side` means nothing here."""
        del side
        found = cls(span_s)
        found._partitions = Groups.of_arrays(arrays, "partitions", ("partition",))
        found._items = Groups.of_arrays(arrays, "items", ("partition", "by"))
        found._partition_of = np.array(arrays["partition_of"], np.int64)
        found._seen = Occurrences.of_arrays(arrays, "seen", decay_of(span_s))
        found._recent = Occurrences.of_arrays(arrays, "recent", RECENT_DECAY)
        found._streaks = Streaks.of_arrays(arrays)
        return found
