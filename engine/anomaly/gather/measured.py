"""The values of one bucket, and what each entity of an influencer field has to do with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.anomaly.definition import Detector
from engine.anomaly.gather.cells import Cells
from engine.anomaly.gather.entries import Entries
from engine.anomaly.gather.limbs import quotients
from engine.anomaly.gather.measures import measured
from engine.anomaly.gather.recipe import Recipe
from engine.anomaly.values import Keys, Values

__all__ = ["Contributions", "Measured", "Part", "Removed", "values_of"]

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_ENTITIES_MAX = 100
_FROM_ENTRIES = {"median", "min", "max", "distinct_count"}


@dataclass(frozen=True, slots=True)
class Contributions:
    """What entities have within the series of a bucket, by series and text; shape (m,) each.

    Attributes
    ----------
    series : int64
    entity : object, str
    amount : float64
        Of a sum their sum; else their rows.
    count : int64
        Their rows.
    """

    series: Ints
    entity: npt.NDArray[np.object_]
    amount: Numbers
    count: Ints


@dataclass(frozen=True, slots=True)
class Removed:
    """Series without one entity, by place and text; shape (m,) each.

    Attributes
    ----------
    place : int64
        Into the series asked for.
    entity : object, str
    value : float64
        What would be measured; NaN: nothing.
    count : int64
        The rows left.
    """

    place: Ints
    entity: npt.NDArray[np.object_]
    value: Numbers
    count: Ints


@dataclass(frozen=True, slots=True)
class Part:
    """One detector's share of a bucket.

    Attributes
    ----------
    series : int64, shape (m,)
        Numbers of the series with rows, rising.
    totals : Cells
        Of each of them.
    fields : mapping of str to Cells
        By the influencer fields that are not the detector's own: cells of (place of the series,
        code of the entity), -1 for none. Only where something is added up.
    entries : mapping of str to Entries
        By the same fields, and without any under ``""``. Only where there are entries.
    texts : mapping of str to list of str
        Entities of each field by their codes.
    rows : int
        Rows of all series, those without a number too.
    """

    detector: Detector
    recipe: Recipe
    keys: Keys
    series: Ints
    totals: Cells
    fields: Mapping[str, Cells]
    entries: Mapping[str, Entries]
    texts: Mapping[str, list[str]]
    rows: int

    def own(self, field: str) -> npt.NDArray[np.object_]:
        """Give the entity of each series where the field is by, over or partition."""
        names = (self.keys.by, self.keys.over, self.keys.partition)
        column = names[self.detector.key_fields.index(field)]
        return column[self.series]

    @property
    def nothing(self) -> float:
        """The value of no rows at all."""
        return 0.0 if self.detector.function.zero else float("nan")


def values_of(part: Part, base: str) -> Numbers:
    """Give the values of one base, shape (m,)."""
    if _from_entries(part, base):
        entries = next(iter(part.entries.values()))
        if part.recipe.plan is not None:
            return entries.measured(part.recipe.plan)
        return entries.values(base)
    return measured(base, part.recipe, part.totals)


def _from_entries(part: Part, base: str) -> bool:
    if part.recipe.plan is not None:
        return part.recipe.entry is not None
    return base in _FROM_ENTRIES


@dataclass(frozen=True, slots=True)
class Measured:
    """A bucket.

    Attributes
    ----------
    start_s : int
    event_count : int
        Rows of the job.
    values : tuple of tuple of Values
        By detector and base.
    parts : tuple of Part
        What the values are told from.
    """

    start_s: int
    event_count: int
    values: tuple[tuple[Values, ...], ...]
    parts: tuple[Part, ...]

    def contributions(self, detector_index: int, base: str, field: str) -> Contributions:
        """Give what each entity of a field has within each series."""
        part = self.parts[detector_index]
        if field in part.detector.influencers:
            entity = part.own(field)
            rows = np.flatnonzero([each is not None for each in entity])
            found = (part.series[rows], entity[rows])
            cells = part.totals.taken(rows)
        elif field in part.fields:
            cells = part.fields[field]
            cells = cells.taken(np.flatnonzero(cells.keys[1] >= 0))
            found = (part.series[cells.keys[0]], _told(part, field, cells.keys[1]))
        else:
            entries = part.entries[field]
            place, code, pair = entries.pairs()
            cells = _counted(entries, pair, place)
            found = (part.series[place], _told(part, field, code))
        amount = _amount(part, base, cells)
        order = _by_text(found[0], found[1])
        return Contributions(found[0][order], found[1][order], amount[order], cells.whole[0][order])

    def without(self, detector_index: int, base: str, series: Ints, field: str) -> Removed:
        """Give the values that series would have without the rows of each of their entities.

        Parameters
        ----------
        detector_index : int
        base : str
        series : int64, shape (k,)
            Distinct; those without rows have no entities.
        field : str
            An influencer field of the job.

        Notes
        -----
        A metric of the model that needs single entries is computed anew for each entity: there only
        the 100 with the most rows in a series are taken out.
        """
        part = self.parts[detector_index]
        asked, chosen = _chosen(part, series)
        if field in part.detector.influencers:
            entity = part.own(field)[chosen]
            rows = np.flatnonzero([each is not None for each in entity])
            nothing = np.full(len(rows), part.nothing)
            found = asked[rows], entity[rows], nothing, np.zeros(len(rows), np.int64)
        elif _from_entries(part, base):
            found = _left_of_entries(part, base, field, asked, chosen)
        else:
            found = _left_of_cells(part, base, field, asked, chosen)
        place, entity, value, count = found
        order = _by_text(place, entity)
        return Removed(place[order], entity[order], value[order], count[order])


Found = tuple[Ints, npt.NDArray[np.object_], Numbers, Ints]


def _chosen(part: Part, series: Ints) -> tuple[Ints, Ints]:
    """Give the places, among the series asked for and in the part, of those that have rows."""
    at = np.searchsorted(part.series, series)
    there = at < len(part.series)
    there[there] = part.series[at[there]] == series[there]
    return np.flatnonzero(there), at[there]


def _left_of_cells(part: Part, base: str, field: str, asked: Ints, chosen: Ints) -> Found:
    cells = part.fields[field]
    places = np.full(len(part.series), -1, np.int64)
    places[chosen] = asked
    cells = cells.taken(np.flatnonzero((places[cells.keys[0]] >= 0) & (cells.keys[1] >= 0)))
    left = part.totals.taken(cells.keys[0]).less(cells)
    value = measured(base, part.recipe, left)
    count = left.whole[0]
    value = np.where(count > 0, value, part.nothing)
    return places[cells.keys[0]], _told(part, field, cells.keys[1]), value, count


def _left_of_entries(part: Part, base: str, field: str, asked: Ints, chosen: Ints) -> Found:
    entries = part.entries[field].among(chosen)
    place, code, pair = entries.pairs()
    gone = _counted(entries, pair, place).whole[0]
    count = part.totals.whole[0][chosen][place] - gone
    if part.recipe.plan is None:
        value = entries.left(base, pair, place)
        value = np.where(count > 0, value, part.nothing)
    else:
        kept = _largest(place, gone, _told(part, field, code))
        value = entries.measured_left(part.recipe.plan, pair, place, kept)
        place, code, count = place[kept], code[kept], count[kept]
    return asked[place], _told(part, field, code), value, count


def _largest(place: Ints, size: Ints, entity: npt.NDArray[np.object_]) -> Ints:
    """Give the pairs with the most rows of each series, at most so many, in their order."""
    order = _ordered(pa.table({"a": place, "b": -size, "c": pa.array(entity, pa.string())}))
    rank = np.arange(len(order)) - np.searchsorted(place[order], place[order])
    return np.sort(order[rank < _ENTITIES_MAX])


def _counted(entries: Entries, pair: Ints, place: Ints) -> Cells:
    rows = np.flatnonzero(pair >= 0)
    count = np.zeros(len(place), np.int64)
    np.add.at(count, pair[rows], entries.weight[rows])
    return Cells((place,), (count,))


def _amount(part: Part, base: str, cells: Cells) -> Numbers:
    if base == "sum" and part.recipe.plan is None:
        totals, bits = cells.sums[0].totals()
        return quotients(totals, np.ones(len(cells), np.int64), bits)
    return cells.whole[0].astype(np.float64)


def _told(part: Part, field: str, codes: Ints) -> npt.NDArray[np.object_]:
    texts: Any = part.texts[field]
    found = np.empty(len(codes), object)
    found[:] = [texts[code] for code in codes.tolist()]
    return found


def _by_text(number: Ints, entity: npt.NDArray[np.object_]) -> Ints:
    """Give the order by number and text."""
    return _ordered(pa.table({"a": number, "b": pa.array(entity, pa.string())}))


def _ordered(table: pa.Table) -> Ints:
    keys: Any = [(name, "ascending") for name in table.column_names]
    found: Any = pc.sort_indices(table, sort_keys=keys)
    return np.asarray(found.to_numpy(), np.int64)
