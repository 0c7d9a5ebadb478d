"""What one detector gathers while its buckets are pending, and what of it belongs to one bucket.

There is one table of sums for each influencer field that is not the detector's own, with the
entity in its key, and one of single entries with all entities; of a detector without such a field
one without entities. What a series has is told from any of them: whole numbers add up to the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.anomaly.definition import Detector
from engine.anomaly.gather.angles import directions
from engine.anomaly.gather.cells import Cells, Table
from engine.anomaly.gather.coding import Book, Coded
from engine.anomaly.gather.entries import Entries, as_bits
from engine.anomaly.gather.measured import Part
from engine.anomaly.gather.recipe import Recipe
from engine.anomaly.gather.registry import Name
from engine.anomaly.values import Keys

__all__ = ["Pending", "Rows"]

Ints = npt.NDArray[np.int64]

_KEY = 2
_ENTITY = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a job that are on time.

    Attributes
    ----------
    coded : Coded
        Of all such rows of a block.
    places : int64, shape (n,)
        Which of them they are.
    start_s, step, moment_us : int64, shape (n,)
        The bucket; the interim step of the arrival; the time.
    """

    coded: Coded
    places: Ints
    start_s: Ints
    step: Ints
    moment_us: Ints


class Pending:
    """The pending buckets of one detector.

    Parameters
    ----------
    detector : Detector
    recipe : Recipe
    fields : mapping of str to str
        SQL of the influencer fields that are not its own.
    """

    def __init__(self, detector: Detector, recipe: Recipe, fields: Mapping[str, str]) -> None:
        self.detector = detector
        self.recipe = recipe
        self.names: Book[Name] = Book()
        self._fields = dict(fields)
        self._texts: Book[str] = Book()
        self._entities: dict[str, Book[str]] = {field: Book() for field in fields}
        whole = 1 + len(recipe.flags) + (2 if recipe.period_s else 0)
        self._sums: dict[str, Table] = {}
        if recipe.additive:
            shape = (whole, len(recipe.sums))
            self._sums = {field: Table(4, *shape, netted=True) for field in fields}
            self._sums = self._sums or {"": Table(3, *shape, netted=True)}
        self._entries = None
        if recipe.entry is not None:
            self._entries = Table(5 + len(fields), 1, 0, netted=False)

    # ---- taking in --------------------------------------------------------------------------

    def take(self, rows: Rows) -> None:
        """Add rows."""
        recipe = self.recipe
        key = rows.coded.names(recipe.keys, self.names, use_null=self.detector.settings.use_null)
        places, chosen = rows.places, key[rows.places] >= 0
        for condition in (recipe.condition, *recipe.needs):
            if condition != "true":
                chosen &= rows.coded.flags(condition)[places]
        if not chosen.all():
            some = np.flatnonzero(chosen)
            rows = Rows(
                rows.coded,
                places[some],
                rows.start_s[some],
                rows.step[some],
                rows.moment_us[some],
            )
        if not len(rows.places):
            return
        keys = [rows.start_s, rows.step, key[rows.places]]
        entities = {
            field: rows.coded.codes(sql, self._entities[field])[rows.places]
            for field, sql in self._fields.items()
        }
        self._add_sums(rows, keys, entities)
        self._add_entries(rows, keys, entities)

    def _add_sums(self, rows: Rows, keys: Sequence[Ints], entities: Mapping[str, Ints]) -> None:
        if not self._sums:
            return
        weight = rows.coded.weight[rows.places]
        whole = []
        for sql in self.recipe.flags:
            flags = None if sql == "true" else rows.coded.flags(sql)[rows.places]
            whole.append(weight if flags is None else weight * flags)
        if self.recipe.period_s:
            angles = directions(rows.moment_us, self.recipe.period_s)
            whole += [angle * weight for angle in angles]
        values = [rows.coded.numbers(sql)[rows.places] for sql in self.recipe.sums]
        for field, table in self._sums.items():
            own = [*keys, entities[field]] if field else keys
            table.add(Cells.of_rows(own, whole, values, weight))

    def _add_entries(self, rows: Rows, keys: Sequence[Ints], entities: Mapping[str, Ints]) -> None:
        sql = self.recipe.entry
        if self._entries is None or sql is None:
            return
        if self.recipe.kind == "texts":
            code = rows.coded.codes(sql, self._texts)[rows.places]
            there = code >= 0
        else:
            numbers = rows.coded.numbers(sql)[rows.places]
            code, there = as_bits(numbers), ~np.isnan(numbers)
        pane = np.zeros_like(code)
        if self.recipe.plan is not None:
            pane = rows.moment_us // 60_000_000 * 60
        columns = (*keys, *entities.values(), pane, code)
        found = Cells(columns, (rows.coded.weight[rows.places],))
        self._entries.add(found if there.all() else found.taken(np.flatnonzero(there)))

    # ---- one bucket -------------------------------------------------------------------------

    def keys_of(self, start_s: int, before: int | None) -> tuple[Ints, Ints]:
        """Give the codes of the names with rows in a bucket, rising, and how many rows."""
        totals = self._totals(start_s, before)
        return totals.keys[0], totals.whole[0]

    def part(self, start_s: int, before: int | None, numbers: Ints, keys: Keys) -> Part:
        """Give what a bucket has of the series that have a number.

        Parameters
        ----------
        start_s : int
        before : int or None
            Only rows of earlier steps; None: all.
        numbers : int64, shape (names,)
            Number of the series by the code of its name; -1: none.
        keys : Keys
        """
        totals = self._totals(start_s, before)
        rows = int(totals.whole[0].sum())
        number = numbers[totals.keys[0]]
        order = np.argsort(number, kind="stable")
        totals = totals.taken(order[number[order] >= 0])
        place = np.full(len(self.names), -1, np.int64)
        place[totals.keys[0]] = np.arange(len(totals))
        fields = {
            field: _placed(table.of(start_s, before), place)
            for field, table in self._sums.items()
            if field
        }
        return Part(
            self.detector,
            self.recipe,
            keys,
            numbers[totals.keys[0]],
            totals,
            fields,
            self._entries_of(start_s, before, place, len(totals)),
            {field: book.told for field, book in self._entities.items()},
            rows,
        )

    def _totals(self, start_s: int, before: int | None) -> Cells:
        table = self._tables()[0]
        found = table.of(start_s, before).grouped([0])
        return found.taken(np.flatnonzero(found.whole[0] > 0))

    def _entries_of(
        self, start_s: int, before: int | None, place: Ints, count: int
    ) -> dict[str, Entries]:
        if self._entries is None:
            return {}
        cells = _placed(self._entries.of(start_s, before), place)
        texts = self._texts.told if self.recipe.kind == "texts" else None
        pane, code = len(self._fields) + 1, len(self._fields) + 2
        found = {}
        for nth, field in enumerate(self._fields or ("",)):
            own = [0, 1 + nth, pane, code] if field else [0, pane, code]
            netted = cells.grouped(own)
            netted = netted.taken(np.flatnonzero(netted.whole[0] > 0))
            entity = netted.keys[1] if field else np.full(len(netted), -1, np.int64)
            *_, pane_s, codes = netted.keys
            found[field] = Entries(
                netted.keys[0], entity, pane_s, codes, netted.whole[0], count, texts
            )
        return found

    @property
    def touched_s(self) -> int | None:
        """Start of the earliest bucket that anything is known of; None without any."""
        known = [table.touched_s() for table in self._tables()]
        return min((start_s for start_s in known if start_s is not None), default=None)

    def drop(self, until_s: int) -> None:
        """Forget the buckets that start before a time."""
        for table in self._tables():
            table.drop(until_s)

    # ---- code books -------------------------------------------------------------------------

    def forget(self, numbered_: Ints) -> Ints | None:
        """Forget what no pending bucket has, if that is most of it.

        Parameters
        ----------
        numbered_ : int64, shape (names,)
            Number of the series by the code of its name; names with one are kept.

        Returns
        -------
        int64, shape (names left,), or None
            The old codes of the names that are left; None: none was forgotten.
        """
        for nth, (field, book) in enumerate(self._entities.items()):
            tables = [(self._sums[field], _ENTITY)] if field in self._sums else []
            tables += [(self._entries, _ENTITY + nth)] if self._entries is not None else []
            _forget(book, tables, np.zeros(0, np.int64))
        if self._entries is not None and self.recipe.kind == "texts":
            _forget(self._texts, [(self._entries, 4 + len(self._fields))], np.zeros(0, np.int64))
        tables = [(table, _KEY) for table in self._tables()]
        return _forget(self.names, tables, np.flatnonzero(numbered_ >= 0))

    def _tables(self) -> list[Table]:
        return [*self._sums.values(), *([] if self._entries is None else [self._entries])]


def _forget(
    book: Book[str] | Book[Name], tables: list[tuple[Table, int]], kept: Ints
) -> Ints | None:
    """Let a book forget what no table has, if that is most of it."""
    if not book.full:
        return None
    used = np.unique(np.concatenate([kept, *(table.codes(place) for table, place in tables)]))
    used = used[used >= 0]
    new = book.keep(used)
    if new is None:
        return None
    for table, place in tables:
        table.recode(place, new)
    return used


def _placed(cells: Cells, place: Ints) -> Cells:
    """Put the place of the series in place of the code of its name; others are left out."""
    key = place[cells.keys[0]]
    rows = np.flatnonzero((key >= 0) & (cells.whole[0] != 0))
    found = cells.taken(rows)
    return Cells((key[rows], *found.keys[1:]), found.whole, found.sums)
