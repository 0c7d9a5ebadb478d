"""Some series in one bucket: where it lies in their day and week, and how their tables are read.

A place in a table is one number where all series share it: then a row is read as it lies.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import Columns, Scalars, Tables
from engine.anomaly.bank.tuning import Tuning

__all__ = ["At", "Bucket", "Place", "numbers_of", "pick", "place_of", "put", "shared", "spread"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
At = int | Codes
"""A place in a table: one for all series, or one for each."""

_DAY_S, _HOUR_S, _HOURS = 86400.0, 3600.0, 168


@dataclass(frozen=True, slots=True)
class Place:
    """The time of a bucket, of m series: one number where they share it, else shape (m,).

    Attributes
    ----------
    start_s : float or float64 array
    slot, hour : int or int64 array
        Of the day, of the week.
    slots : int or int64 array
        Slots that the day has.
    """

    start_s: float | Numbers
    slot: At
    hour: At
    slots: At


@dataclass(frozen=True, slots=True)
class Bucket:
    """Some series of a bank in one bucket."""

    scalars: Scalars
    tables: Tables
    columns: Columns
    place: Place
    tuning: Tuning


def place_of(start_s: float | Numbers, scalars: Scalars, slots: int | None) -> Place:
    """Place buckets; `slots` where all series have the same number of them."""
    if slots is not None and np.ndim(start_s) == 0:
        start = float(start_s)
        slot = min(int(start % _DAY_S * slots / _DAY_S), slots - 1)
        return Place(start, slot, int(start // _HOUR_S) % _HOURS, slots)
    starts = spread(np.asarray(start_s, np.float64), scalars).copy()
    each = scalars.slots.astype(np.int64) if slots is None else slots
    slot_of = np.minimum((starts % _DAY_S * each / _DAY_S).astype(np.int64), each - 1)
    return Place(starts, slot_of, (starts // _HOUR_S).astype(np.int64) % _HOURS, each)


def spread(value: npt.ArrayLike, scalars: Scalars) -> npt.NDArray[Any]:
    """Give a value per series, also where they share it."""
    if np.ndim(value) == 0:  # full is faster than a broadcast view
        return np.full(scalars.buckets.shape, value)
    return np.broadcast_to(value, scalars.buckets.shape)


def shared(places: Numbers | Codes) -> At:
    """Give the one number that all are, else all as whole numbers."""
    if places.size and (first := places[0]) == places[-1] and (places == first).all():
        return int(first)
    return places.astype(np.int64)


def numbers_of(columns: Columns) -> Codes:
    """Give the numbers of series, also of a slice."""
    if isinstance(columns, slice):
        return np.arange(columns.start, columns.stop)
    return columns


def pick(table: npt.NDArray[Any], at: At, columns: Columns) -> npt.NDArray[Any]:
    """Read a table (..., places, n) at each series' place: shape (..., m); may be a view."""
    if isinstance(at, int):
        row = table[..., at, :]
        return row[..., columns] if isinstance(columns, slice) else row.take(columns, axis=-1)
    return table[..., at, numbers_of(columns)]


def put(table: npt.NDArray[Any], at: At, columns: Columns, values: npt.NDArray[Any]) -> None:
    """Write a table (..., places, n) at each series' place."""
    if isinstance(at, int):
        table[..., at, columns] = values
    else:
        table[..., at, numbers_of(columns)] = values
