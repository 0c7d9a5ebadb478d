"""The arrays of a bank of series: every number that the model remembers, a column a series.

Series lie along the last axis, so that a slot, an hour or a place in a ring is one contiguous row:
where all series share it (one bank has one clock) it is read and written without gathering. Only
the two memories that few series touch in a bucket lie the other way round.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from engine.errors import StoreError

__all__ = [
    "BLOCK",
    "DESCRIPTORS",
    "LARGEST",
    "MEMORY",
    "NOVELTIES",
    "RING",
    "SHORT_RING",
    "Columns",
    "Scalars",
    "State",
    "Tables",
]

Numbers = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int64]
Columns = slice | Codes
"""Series of a bank: all, as a slice, or some, by their numbers."""

RING: Final = 48
SHORT_RING: Final = 12
MEMORY: Final = 32  # exceedances remembered of a feature
BLOCK: Final = 24  # buckets of which both memories take the largest
NOVELTIES: Final = 24  # such maxima
DESCRIPTORS: Final = 10
LARGEST: Final = 2e37  # of what is kept as float32: twelve of them still add up


@dataclass(slots=True)
class Scalars:
    """Numbers of each series: float64 views of one block, shape (m,), or (2, m) where pairs.

    Pairs are of the fast and the slow level. Changed in place by learning.
    """

    side: Numbers  # -1, 0, 1
    counts: Numbers  # whether roots are modelled, see engine.anomaly.bank.roots
    span_s: Numbers
    slots: Numbers  # of the day
    buckets: Numbers  # with a value
    began_s: Numbers
    reset_s: Numbers  # since when dispersion by time of day is measured
    seen_s: Numbers  # last bucket with a value
    levels: Numbers  # pair
    long_mean: Numbers
    spread: Numbers  # mean |x - long mean|
    scales: Numbers  # pair, mean |residual|
    slot: Numbers  # of the last value, -1 before the first
    peaks: Numbers  # pair, largest |residual| of this slot today
    split: Numbers  # 1 once the first day is split in level and profile
    tried: Numbers  # buckets in which the daily profile was tried
    error_flat: Numbers  # mean capped |error| without and with the daily profile
    error_day: Numbers
    error_fast: Numbers  # of the fast level of what the profiles leave
    fast_rest: Numbers
    error_no_week: Numbers
    error_week: Numbers
    day_weight: Numbers
    week_weight: Numbers
    day_accepted: Numbers
    week_accepted: Numbers
    sums: Numbers  # of the last 12, 24, 48 slow z, of the 48 |fast z|, of the 12 fast z
    usual_size: Numbers  # reference of the spread
    last_x: Numbers
    run: Numbers  # buckets for which the value has not changed
    runs_same: Numbers  # decayed counts of unchanged and all values
    runs_all: Numbers
    history: Numbers  # buckets that the exceedances come from
    in_block: Numbers
    bar: Numbers  # size of the last alert, while it holds others back
    alerted: Numbers  # `buckets` at that time

    @classmethod
    def of(cls, block: Numbers) -> Self:
        """Name the rows of a block, shape (rows, m)."""
        return cls(*(block[place] for place in _PLACES))


_KEPT: Final = 4  # rows of a block that say what a series is: side, counts, span_s, slots
_HEIGHTS: Final = {"levels": 2, "scales": 2, "peaks": 2, "sums": 5}


def _places() -> tuple[tuple[int | slice, ...], int]:
    places: list[int | slice] = []
    at = 0
    for each in fields(Scalars):
        height = _HEIGHTS.get(each.name, 0)
        places.append(slice(at, at + height) if height else at)
        at += height or 1
    return tuple(places), at


_PLACES, _ROWS = _places()


@dataclass(slots=True)
class Tables:
    """What is remembered per slot, hour or rank; `n` is the number of series, `s` that of slots."""

    profile: Numbers  # (s, n) daily part
    visits: Singles  # (s, n)
    slot_scales: Singles  # (2, s, n) mean over days of the largest |residual|
    slot_days: Singles  # (3, 2, s, n) the last three days' largest |residual|
    week: Singles  # (168, n) weekly part
    week_visits: Singles  # (168, n)
    slow_ring: Whole  # (48, n) slow z
    size_ring: Whole  # (48, n) |fast z|
    fast_ring: Whole  # (12, n) fast z
    raw_ring: Singles  # (2, 12, n) slow residual and |fast residual|, in the series' unit
    least: Singles  # (9, n) least of the remembered exceedances
    block_most: Singles  # (10, n) largest descriptors of this block
    block_features: Singles  # (9, n) largest features of this block
    exceedances: Singles  # (n, 9, 32), rising
    novelties: Singles  # (n, 10, 24), rising


_SERIES_FIRST: Final = ("exceedances", "novelties")


def _shapes(slots: int) -> dict[str, tuple[tuple[int, ...], type]]:
    """Give each table's shape without the axis of series, and its type."""
    return {
        "profile": ((slots,), np.float64),
        "visits": ((slots,), np.float32),
        "slot_scales": ((2, slots), np.float32),
        "slot_days": ((3, 2, slots), np.float32),
        "week": ((168,), np.float32),
        "week_visits": ((168,), np.float32),
        "slow_ring": ((RING,), np.int32),
        "size_ring": ((RING,), np.int32),
        "fast_ring": ((SHORT_RING,), np.int32),
        "raw_ring": ((2, SHORT_RING), np.float32),
        "least": ((9,), np.float32),
        "block_most": ((DESCRIPTORS,), np.float32),
        "block_features": ((9,), np.float32),
        "exceedances": ((9, MEMORY), np.float32),
        "novelties": ((DESCRIPTORS, NOVELTIES), np.float32),
    }


class State:
    """All arrays of a bank, with room to grow.

    Attributes
    ----------
    size : int
        Series.
    slots : int
        Rows of the tables by time of day.
    """

    def __init__(self, slots: int) -> None:
        self.size = 0
        self.slots = slots
        self._capacity = 0
        self._block: Numbers = np.zeros((_ROWS, 0))
        self._whole = Scalars.of(self._block)
        self.tables = _tables({}, slots, 0, 0)

    def add(self, count: int, slots: int) -> Scalars:
        """Append series of zeros and give their scalars, to be filled in."""
        needed = self.size + count
        if needed > self._capacity or slots > self.slots:
            # A quarter more: doubling would hold twice the memory of the series.
            self._room(max(needed, self._capacity * 5 // 4), max(slots, self.slots))
        fresh = Scalars.of(self._block[:, self.size : needed])
        self.size = needed
        self._whole = Scalars.of(self._block[:, :needed])
        return fresh

    def _room(self, capacity: int, slots: int) -> None:
        block = np.zeros((_ROWS, capacity))
        block[:, : self.size] = self._block[:, : self.size]
        held = {each.name: getattr(self.tables, each.name) for each in fields(Tables)}
        self.tables = _tables(held, slots, capacity, self.size)
        self._block, self._capacity, self.slots = block, capacity, slots

    def scalars(self, columns: Columns) -> tuple[Scalars, Numbers]:
        """Give the scalars of all series, views, or of some, copies; and their block."""
        if isinstance(columns, slice):
            return self._whole, self._block[:, : self.size]
        block = self._block.take(columns, axis=1)
        return Scalars.of(block), block

    def clear(self, numbers: Codes) -> None:
        """Let series forget all but what they are."""
        self._block[_KEPT:, numbers] = 0.0
        for each in fields(Tables):
            table = getattr(self.tables, each.name)
            place = numbers if each.name in _SERIES_FIRST else (..., numbers)
            table[place] = 0.0

    def write(self, columns: Columns, block: Numbers) -> None:
        """Put a changed block back where it was copied from."""
        if not isinstance(columns, slice):
            for held, row in zip(self._block, block, strict=True):  # faster than both at once
                held[columns] = row

    @property
    def nbytes(self) -> int:
        """Bytes of all series; memory that waits for more (at most a quarter) is not counted."""
        return sum(array.nbytes for array in self._used().values())

    def _used(self) -> dict[str, npt.NDArray[Any]]:
        used: dict[str, npt.NDArray[Any]] = {"scalars": self._block[:, : self.size]}
        for each in fields(Tables):
            used[each.name] = _within(each.name, getattr(self.tables, each.name), self.size)
        return used

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give copies of all arrays, without the room to grow."""
        return {name: np.ascontiguousarray(array).copy() for name, array in self._used().items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Make the state of what `to_arrays` gave.

        Raises
        ------
        StoreError
            If an array is missing or has another shape.
        """
        names = ["scalars", *(each.name for each in fields(Tables))]
        missing = [name for name in names if name not in arrays]
        if missing:
            msg = f"`arrays` must hold all of the bank's state, got none named {missing}"
            raise StoreError(msg)
        size, slots = arrays["scalars"].shape[-1], arrays["profile"].shape[0]
        state = cls(slots)
        state.add(size, slots)
        for name, array in state._used().items():
            if arrays[name].shape != array.shape or arrays[name].dtype != array.dtype:
                msg = (
                    f"`arrays[{name!r}]` must be {array.dtype} of shape {array.shape}, "
                    f"got {arrays[name].dtype} of shape {arrays[name].shape}"
                )
                raise StoreError(msg)
            array[...] = arrays[name]
        return state


def _within(name: str, table: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    return table[:size] if name in _SERIES_FIRST else table[..., :size]


def _tables(held: Mapping[str, npt.NDArray[Any]], slots: int, capacity: int, size: int) -> Tables:
    """Make tables of zeros, with what is held copied in; tables by slot may have become taller."""
    made: dict[str, Any] = {}
    for name, (shape, kind) in _shapes(slots).items():
        whole = (capacity, *shape) if name in _SERIES_FIRST else (*shape, capacity)
        table: npt.NDArray[Any] = np.zeros(whole, kind)
        made[name] = table
        if size:
            old = _within(name, held[name], size)
            _within(name, table, size)[tuple(slice(0, length) for length in old.shape)] = old
    return Tables(**made)
