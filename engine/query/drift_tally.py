"""The target of a drift query, counted: rows by cell, property and bin."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.drift import contributions
from engine.errors import QueryError
from engine.query.drift_frozen import Frozen, doubles_of
from engine.query.drift_sides import Cell, Part, rows_of
from engine.query.tree import DriftQuery

__all__ = ["TABLE_COLUMNS", "Tally"]

TABLE_COLUMNS = (
    *("property", "bin", "lower", "upper", "category", "base_count", "target_count"),
    *("base_share", "target_share", "contribution"),
)
"""Columns of the bins behind a value of PSI."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MOST_COUNTS = 20_000_000  # cells times bins: 160 MB


@dataclass
class Tally:
    """Counts of the target by cell, property and bin.

    Attributes
    ----------
    frozen : dict
        The base: group to its properties.
    found : dict of Cell to int
        Place of each cell of the target in the counts.
    numeric, rows : dict
        Group to its rows on both sides: those that numbers group, and all.
    """

    query: DriftQuery
    parts: dict[Cell, Part]
    frozen: dict[Cell, list[Frozen]] = field(default_factory=dict)
    found: dict[Cell, int] = field(default_factory=dict)
    counts: list[Ints] = field(default_factory=list)
    entries: dict[tuple[int, int], list[Floats]] = field(default_factory=dict)
    numeric: dict[Cell, Ints] = field(default_factory=dict)
    rows: dict[Cell, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.parts.values():
            self._note(part)

    @property
    def cells(self) -> list[Cell]:
        """Every cell that has a row in the answer."""
        if self.query.rollup is not None:
            return list(self.found)
        return list(dict.fromkeys((*self.found, *(self.parts if self.query.group_by else [()]))))

    def group(self, cell: Cell) -> Cell:
        """Give the group of a cell."""
        return cell[: len(self.query.group_by)]

    def take(self, part: Part) -> None:
        """Count the rows of a piece of the target."""
        self._note(part)
        for cell in part.cells:
            self.found.setdefault(cell, len(self.found))
        self._grow()
        groups, number = _groups(part, self.group)
        for group, mine in zip(groups, rows_of(number, len(groups)), strict=True):
            if group in self.frozen:
                self._count(self.frozen[group], part, mine)

    def _note(self, part: Part) -> None:
        """Note the rows of each group, and how many of them numbers group."""
        groups, number = _groups(part, self.group)
        rows = np.bincount(number, minlength=len(groups))
        numeric = np.zeros((len(groups), part.numeric.shape[1]), np.int64)
        np.add.at(numeric, number, part.numeric)
        for place, group in enumerate(groups):
            self.numeric[group] = self.numeric.get(group, 0) + numeric[place]
            self.rows[group] = self.rows.get(group, 0) + int(rows[place])

    def _grow(self) -> None:
        """Make room for all cells."""
        widths = [
            max((len(each[place].bins) for each in self.frozen.values()), default=1)
            for place in range(len(self.query.properties))
        ]
        if len(self.found) * sum(widths) > _MOST_COUNTS:
            msg = (
                f"the query must give at most {_MOST_COUNTS:,} counts of bins, got more than"
                f" {len(self.found):,} rows of {sum(widths):,}; ask for fewer groups or properties,"
                " or a coarser rollup"
            )
            raise QueryError(msg)
        if not self.counts:
            self.counts = [np.zeros((0, width), np.int64) for width in widths]
        more = len(self.found) - len(self.counts[0])
        if more > 0:
            more = max(more, len(self.counts[0]))  # twice the room: pieces may bring one each
            self.counts = [np.pad(each, ((0, more), (0, 0))) for each in self.counts]

    def _count(self, frozen: list[Frozen], part: Part, mine: Ints) -> None:
        """Count rows of one group, whose numbers in the piece are `mine`."""
        size = len(part.cells)
        places = [self.found[cell] for cell in part.cells]
        for place, each in enumerate(frozen):
            counted = part.counts[place]
            used = mine if counted is None else mine[counted[mine]]
            column = part.values[place]
            if len(used) < len(part.cell):
                column = column.take(pa.array(used))
            width, cell = self.counts[place].shape[1], part.cell[used]
            counts = np.bincount(cell * width + each.codes(column), minlength=size * width)
            self.counts[place][places] += counts.reshape(size, width)
            if each.ordered is not None:
                values = doubles_of(column)
                for number, rows in enumerate(rows_of(cell, size)):
                    if len(rows):
                        known = values[rows][~np.isnan(values[rows])]
                        self.entries.setdefault((place, places[number]), []).append(known)

    def values(self, place: int) -> dict[Cell, float | None]:
        """Give the value of a property in every cell."""
        found: dict[Cell, float | None] = dict.fromkeys(self.cells)
        groups: dict[Cell, list[Cell]] = {}
        for cell in self.found:
            groups.setdefault(self.group(cell), []).append(cell)
        for group, cells in groups.items():
            frozen = self.frozen.get(group)
            if frozen is None:
                continue
            each, numbers = frozen[place], [self.found[cell] for cell in cells]
            counts = self.counts[place][numbers, : len(each.bins)]
            nothing = [np.empty(0)]
            entries = [
                np.concatenate(self.entries.get((place, number), nothing)) for number in numbers
            ]
            told = each.values(self.query.metric, counts, entries)
            found.update(zip(cells, told, strict=True))
        return found

    def bins(self, place: int, written: str, cell: Cell) -> list[dict[str, object]]:
        """Give the bins of a property in one cell; none of a group that the base does not have."""
        if self.group(cell) not in self.frozen:
            return []
        bins = self.frozen[self.group(cell)][place].bins
        counts = np.zeros(len(bins), np.int64)
        if cell in self.found:
            counts = self.counts[place][self.found[cell], : len(bins)]
        parts = contributions("PSI", bins.reference, counts[None, :])[0].tolist()
        base, size = int(bins.reference.sum()), int(counts.sum())
        told = zip(bins.rows(), bins.reference.tolist(), counts.tolist(), parts, strict=True)
        return [
            dict(
                zip(
                    TABLE_COLUMNS,
                    (
                        *(written, row.bin, _finite(row.lower), _finite(row.upper), row.category),
                        *(r, k, r / base if base else None, k / size if size else None),
                        _finite(part),
                    ),
                    strict=True,
                )
            )
            for row, r, k, part in told
        ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _groups(part: Part, of: Callable[[Cell], Cell]) -> tuple[list[Cell], Ints]:
    """Give the groups in a piece, and of each row its place among them."""
    found: dict[Cell, int] = {}
    places = [found.setdefault(of(cell), len(found)) for cell in part.cells]
    return list(found), np.array(places, np.int64)[part.cell]
