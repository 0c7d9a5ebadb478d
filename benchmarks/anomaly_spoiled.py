"""Series with known anomalies: ten ways to spoil a series, and rare values in a stream of them.

A spoiled series is as drawn (`benchmarks.anomaly_series`) but for a few windows. Sizes are in usual
deviations. After a level shift the new level stays, and the window is the time until it is usual.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.anomaly_columns import Series
from benchmarks.anomaly_series import KINDS, Drawn, draw

__all__ = ["ANOMALIES", "Spoiled", "clean", "fitting", "rare_values", "spoiled", "starts"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Draws = np.random.Generator

_DAY = 86_400
_BEGIN = 1_700_438_400 // (7 * _DAY) * 7 * _DAY  # a Thursday in November 2023
_SHORT, _LONG = 2, 48  # buckets after a spike, and after a shift, in which it is found in time


@dataclass(frozen=True, slots=True, eq=False)
class Spoiled:
    """A series, and its anomalies: first and last bucket of each window, in order."""

    series: Series
    anomaly: str
    windows: tuple[tuple[int, int], ...]


#: Changes the values from a bucket on in place; gives the first and last bucket of the window.
Anomaly = Callable[[Draws, Drawn, Numbers, int, int], tuple[int, int]]


def starts(days: float, span_s: int) -> Codes:
    """Give the starts of the buckets of so many days."""
    return _BEGIN + span_s * np.arange(int(days * _DAY / span_s))


def clean(kind: str, seed: int, days: float, span_s: int) -> Series:
    """Draw a series without anomalies."""
    starts_s = starts(days, span_s)
    drawn = draw(kind, seed, starts_s.astype(np.float64))
    return Series(kind, span_s, starts_s, drawn.seen, drawn.counts)


def spoiled(
    kind: str, anomaly: str, seed: int, *, days: float, span_s: int, warm_days: float, many: int = 3
) -> Spoiled:
    """Draw a series, and spoil it at `many` times after the warm-up, evenly spread but for a day.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    anomaly : str
        One of `ANOMALIES`.
    """
    starts_s = starts(days, span_s)
    drawn = draw(kind, seed, starts_s.astype(np.float64))
    draws = np.random.default_rng([seed, *kind.encode(), *anomaly.encode()])
    values = drawn.seen.copy()
    free = (days - warm_days) / many
    windows = []
    for number in range(many):
        day = warm_days + number * free + draws.uniform(0, min(1.0, free / 4))
        first = int(day * _DAY / span_s)
        first, last = ANOMALIES[anomaly](draws, drawn, values, first, span_s)
        windows.append((first, min(last, len(values) - 1)))
    if drawn.counts:
        values = np.maximum(np.round(values), 0.0)
    return Spoiled(Series(kind, span_s, starts_s, values, drawn.counts), anomaly, tuple(windows))


def _spike(draws: Draws, drawn: Drawn, values: Numbers, first: int, _: int) -> tuple[int, int]:
    values[first] += draws.uniform(7, 12) * max(drawn.deviation, 0.4 * drawn.counts)
    return first, first + _SHORT


def _dip(draws: Draws, drawn: Drawn, values: Numbers, first: int, _: int) -> tuple[int, int]:
    values[first] -= draws.uniform(7, 12) * drawn.deviation
    return first, first + _SHORT


def _level(draws: Draws, drawn: Drawn, values: Numbers, first: int, _: int) -> tuple[int, int]:
    sign = 1 if drawn.counts else draws.choice([-1, 1])
    values[first:] += sign * draws.uniform(3, 6) * drawn.deviation
    return first, first + _LONG


def _wild(draws: Draws, drawn: Drawn, values: Numbers, first: int, _: int) -> tuple[int, int]:
    stop = first + int(draws.integers(24, 49))
    rest = values[first:stop] - drawn.expected[first:stop]
    values[first:stop] += (draws.uniform(3, 5) - 1) * rest
    return first, stop - 1


def _calm(draws: Draws, drawn: Drawn, values: Numbers, first: int, _: int) -> tuple[int, int]:
    stop = first + int(draws.integers(72, 145))
    rest = values[first:stop] - drawn.expected[first:stop]
    values[first:stop] -= 0.9 * rest
    return first, stop - 1


def _silence(draws: Draws, _: Drawn, values: Numbers, first: int, __: int) -> tuple[int, int]:
    stop = first + int(draws.integers(6, 25))
    values[first:stop] = 0.0
    return first, stop - 1


def _frozen(draws: Draws, _: Drawn, values: Numbers, first: int, __: int) -> tuple[int, int]:
    stop = first + int(draws.integers(36, 97))
    values[first:stop] = values[first - 1]
    return first, stop - 1


def _skipped(_: Draws, drawn: Drawn, values: Numbers, first: int, span_s: int) -> tuple[int, int]:
    """A working day passes like its quietest hours: what is expected falls to its lowest tenth."""
    day = _DAY // span_s
    first -= first % day  # series begin at midnight, on a Thursday
    first += {2: 2, 3: 1}.get(first // day % 7, 0) * day
    stop = first + day
    expected = drawn.expected[first:stop]
    values[first:stop] -= expected - np.quantile(expected, 0.1)
    return first, stop - 1


def _drift(draws: Draws, drawn: Drawn, values: Numbers, first: int, span_s: int) -> tuple[int, int]:
    stop = first + int(draws.uniform(1, 2.5) * _DAY / span_s)
    part = values[first:stop]
    part += np.linspace(0, draws.uniform(5, 8) * drawn.deviation, part.size)
    return first, stop - 1


def _dense(draws: Draws, drawn: Drawn, values: Numbers, first: int, _: int) -> tuple[int, int]:
    """A third of the buckets leave what is usual, by a little."""
    stop = first + int(draws.integers(36, 73))
    part = values[first:stop]
    sign = 1 if drawn.counts else draws.choice([-1, 1])
    hit = draws.random(part.size) < 1 / 3
    part += np.where(hit, sign * draws.uniform(2.5, 4, part.size), 0.0) * max(
        drawn.deviation, 0.4 * drawn.counts
    )
    return first, stop - 1


ANOMALIES: Final = MappingProxyType(
    {
        "spike": _spike,
        "dip": _dip,
        "level shift": _level,
        "variance up": _wild,
        "variance down": _calm,
        "silence": _silence,
        "flat line": _frozen,
        "skipped day": _skipped,
        "slow drift": _drift,
        "density": _dense,
    }
)

_FLAT = ("noise", "trend", "AR(1) 0.7", "AR(1) 0.98", "heavy tails (t3)", "lognormal")
_STILL = ("counts of 0.1", "counts of 3", "counts of 100")
#: Kinds that an anomaly leaves as they were: no day to skip, nothing that could fall.
_UNFIT: Final = MappingProxyType(
    {
        "dip": ("counts of 0.1", "counts of 3", "office counts", "lognormal", "daily latency"),
        "variance down": ("counts of 0.1",),
        "silence": ("counts of 0.1", "office counts"),
        "flat line": ("counts of 0.1", "office counts"),
        "skipped day": (*_FLAT, *_STILL, "eight hours", "share near 1"),
    }
)


def fitting() -> list[tuple[str, str]]:
    """Give the pairs of kind and anomaly that make sense."""
    return [(k, a) for a in ANOMALIES for k in KINDS if k not in _UNFIT.get(a, ())]


def rare_values(
    name: str, seed: int, *, days: float, span_s: int, warm_days: float, many: int = 3
) -> Spoiled:
    """Draw events of a few values, with a value at `many` times that was hardly ever seen.

    Parameters
    ----------
    name : str
        `closed`: 20 values, Zipf; `daily`: half of them at night only; `open`: a new value
        about once a day, which is usual.

    Returns
    -------
    Spoiled
        Its series is -log10 of the share of earlier buckets that had the rarest value of each.
    """
    starts_s = starts(days, span_s)
    draws = np.random.default_rng([seed, *name.encode()])
    begin, free = int(warm_days * _DAY / span_s), int((days - warm_days) * _DAY / span_s) // many
    spots = [begin + number * free + int(draws.integers(free // 2)) for number in range(many)]
    weights = 1 / np.arange(1, 21)
    seen: dict[int, int] = {}
    column = np.zeros(starts_s.shape)
    for place, start_s in enumerate(starts_s.tolist()):
        values = set(draws.choice(20, draws.poisson(8), p=weights / weights.sum()).tolist())
        if name == "daily":
            night = start_s % _DAY < _DAY // 3
            values = {value + 100 * night for value in values}
        if name == "open" and draws.random() < span_s / _DAY:
            values.add(1_000_000 + place)
        if place in spots:
            values |= {2_000_000 + spots.index(place) + number for number in range(3)}
        shares = [(seen.get(value, 0) + 0.5) / (place + 1) for value in values]
        column[place] = -np.log10(min(shares, default=1.0)) if place else 0.0
        for value in values:
            seen[value] = seen.get(value, 0) + 1
    windows = tuple((spot, spot + _SHORT) for spot in spots)
    return Spoiled(Series(f"values, {name}", span_s, starts_s, column), "rare value", windows)
