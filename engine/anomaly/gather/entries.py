"""Single entries of the series of one bucket: what they measure, and what is left of them.

Entries are numbers or texts. Texts are only told apart, so their codes stand for them; a metric of
the model that reads texts gets them back.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.gather.leaving import (
    Ordered,
    Taken,
    distinct_left,
    distinct_of,
    middle,
    rank_of,
)
from engine.numbering import added, numbered
from engine.query.plan import Multiset, Plan

__all__ = ["Entries", "as_bits"]

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_PANE_S = 60


def as_bits(values: npt.NDArray[Any]) -> Ints:
    """Give doubles as whole numbers, equal ones alike."""
    found: Ints = (np.asarray(values, np.float64) + 0.0).view(np.int64)
    return found


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of m series.

    Attributes
    ----------
    place : int64, shape (n,)
        The series of each, 0 to m - 1.
    entity : int64, shape (n,)
        Code of the entity that each belongs to; -1: none.
    pane_s, code, weight : int64, shape (n,)
        The minute; the number's bits or the text's code; how many of them there are, above 0.
    count : int
        m.
    texts : list of str, or None
        By the codes; None: entries are numbers.
    """

    place: Ints
    entity: Ints
    pane_s: Ints
    code: Ints
    weight: Ints
    count: int
    texts: list[str] | None

    def among(self, chosen: Ints) -> Self:
        """Give the entries of some series, which are numbered anew in their order."""
        places = np.full(self.count, -1, np.int64)
        places[chosen] = np.arange(len(chosen))
        place = places[self.place]
        rows = np.flatnonzero(place >= 0)
        return type(self)(
            place[rows],
            self.entity[rows],
            self.pane_s[rows],
            self.code[rows],
            self.weight[rows],
            len(chosen),
            self.texts,
        )

    def values(self, base: str) -> Numbers:
        """Give the minimum, maximum, median or distinct count of each series; NaN of nothing."""
        if base == "distinct_count":
            _, first = numbered((self.place, self.code))
            return distinct_of(self.place[first], self.count).astype(np.float64)
        ordered, _ = Ordered.of(self.place, self.code.view(np.float64), self.weight, self.count)
        low, high = rank_of(base, ordered.size)
        found = np.full(self.count, np.nan)
        some = np.flatnonzero(ordered.size > 0)
        found[some] = middle(ordered.at(some, low[some]), ordered.at(some, high[some]))
        return found

    def pairs(self) -> tuple[Ints, Ints, Ints]:
        """Give the pairs of series and entity: place, entity, and of each entry its pair or -1."""
        some = np.flatnonzero(self.entity >= 0)
        pair = np.full(len(self.place), -1, np.int64)
        number, first = numbered((self.place[some], self.entity[some]))
        pair[some] = number
        return self.place[some][first], self.entity[some][first], pair

    def left(self, base: str, pair: Ints, place: Ints) -> Numbers:
        """Give what `values` would give without the entries of each pair.

        Parameters
        ----------
        pair : int64, shape (n,)
        place : int64, shape (k,)
            As `pairs` gives them.
        """
        if base == "distinct_count":
            return self._distinct_left(pair, place)
        ordered, order = Ordered.of(self.place, self.code.view(np.float64), self.weight, self.count)
        taken = Taken.of(ordered, pair[order], place)
        low, high = rank_of(base, taken.size)
        return middle(taken.at(ordered, low), taken.at(ordered, high))

    def _distinct_left(self, pair: Ints, place: Ints) -> Numbers:
        rows = numbered((self.place, self.code, self.entity))[1]
        number, first = numbered((self.place[rows], self.code[rows]))
        entities = added(np.ones(len(rows), np.int64), number, len(first))
        total = distinct_of(self.place[rows][first], self.count)
        return distinct_left((number, entities), pair[rows], place, total).astype(np.float64)

    def measured(self, plan: Plan) -> Numbers:
        """Give a metric of each series."""
        return np.array([self._metric(plan, rows) for rows in self._rows()], np.float64)

    def measured_left(self, plan: Plan, pair: Ints, place: Ints, chosen: Ints) -> Numbers:
        """Give a metric of what some pairs leave, shape (k,); one by one."""
        found, of_place = [], self._rows()
        for number, at in zip(chosen.tolist(), place[chosen].tolist(), strict=True):
            rows = of_place[at]
            found.append(self._metric(plan, rows[pair[rows] != number]))
        return np.array(found, np.float64)

    def _rows(self) -> list[Ints]:
        """Give the rows of each series."""
        ends = np.cumsum(added(np.ones(len(self.place), np.int64), self.place, self.count))
        return np.split(np.argsort(self.place, kind="stable"), ends[:-1])

    def _metric(self, plan: Plan, rows: Ints) -> float:
        codes = self.code[rows]
        entries: npt.NDArray[Any] = codes.view(np.float64)
        if self.texts is not None:
            told = self.texts
            entries = np.array([told[code] for code in codes.tolist()], object)
        # In an order that does not go by codes of entities or texts: those depend on the blocks.
        order = np.argsort(self.pane_s[rows], kind="stable")
        order = order[np.argsort(entries[order], kind="stable")]
        entries, rows = entries[order], rows[order]
        if plan.of_multiset is None:
            return float("nan")
        found, _ = plan.of_multiset(
            Multiset(entries, self.weight[rows], self.pane_s[rows]), _PANE_S
        )
        return float("nan") if found is None else found
