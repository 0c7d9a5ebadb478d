"""Seeded series of eighteen kinds, and ten ways to spoil them.

A kind gives what is expected at each time and what is seen; an anomaly changes what is seen within
a window, by multiples of the series' usual deviation, so that it is as plain in one kind as in
another. Every draw comes from the seed, the kind and the anomaly alone. Two months of five-minute
buckets take a few milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

__all__ = ["KINDS", "Drawn", "Kind", "draw"]

Numbers = npt.NDArray[np.float64]
Draws = np.random.Generator

_DAY = 86_400.0
_MONDAY = 4 * _DAY  # 5 January 1970


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What a kind of series gave: expected and seen values, and its usual deviation.

    `counts` says that the values are numbers of events: whole, never below 0.
    """

    expected: Numbers
    seen: Numbers
    deviation: float
    counts: bool = False


#: Draws a series at some times, seconds since the epoch.
Kind = Callable[[Draws, Numbers], Drawn]


def draw(kind: str, seed: int, times_s: Numbers) -> Drawn:
    """Draw a series of one of `KINDS`; equal arguments give equal series."""
    return KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind)]), times_s)


def _wave(times_s: Numbers, phase: float, period_s: float = _DAY) -> Numbers:
    return np.sin(2 * np.pi * (times_s / period_s + phase))


def _office(times_s: Numbers) -> Numbers:
    """1 in office hours of a working day, 0 at night and on weekends, an hour's ramp between."""
    hour = times_s % _DAY / 3600.0
    day = (times_s - _MONDAY) // _DAY % 7
    up = np.clip(hour - 7.0, 0.0, 1.0) * np.clip(18.5 - hour, 0.0, 1.0)
    return np.where(day < 5, up, 0.0)


def _metric(draws: Draws, expected: Numbers, noise: Numbers) -> Drawn:
    """Add noise of deviation 1 to what is expected, and put it on a scale of its own."""
    scale, level = 10.0 ** draws.uniform(-2, 4), draws.uniform(5, 50)
    usual = float(np.median(np.abs(noise)) / 0.6745)
    return Drawn(scale * (level + expected), scale * (level + expected + noise), scale * usual)


def _counted(draws: Draws, rate: Numbers) -> Drawn:
    seen = draws.poisson(rate).astype(np.float64)
    return Drawn(rate, seen, float(np.sqrt(rate.mean())), counts=True)


def _noise(draws: Draws, times_s: Numbers) -> Drawn:
    return _metric(draws, np.zeros(times_s.shape), draws.normal(size=times_s.shape))


def _daily(draws: Draws, times_s: Numbers) -> Drawn:
    wave = draws.uniform(2, 6) * _wave(times_s, draws.random())
    return _metric(draws, wave, draws.normal(size=times_s.shape))


def _weekly(draws: Draws, times_s: Numbers) -> Drawn:
    day = (times_s - _MONDAY) // _DAY % 7
    wave = 3 * _wave(times_s, draws.random()) + np.where(day < 5, 3.0, 0.0)
    return _metric(draws, wave, draws.normal(size=times_s.shape))


def _offices(draws: Draws, times_s: Numbers) -> Drawn:
    busy = draws.uniform(5, 10) * _office(times_s)
    return _metric(draws, busy, draws.normal(size=times_s.shape) * (0.5 + 0.15 * busy))


def _trend(draws: Draws, times_s: Numbers) -> Drawn:
    slope = draws.choice([-1, 1]) * draws.uniform(0.1, 0.3) / _DAY
    return _metric(draws, slope * (times_s - times_s[0]), draws.normal(size=times_s.shape))


def _daily_trend(draws: Draws, times_s: Numbers) -> Drawn:
    rising = draws.uniform(0.1, 0.3) * (times_s - times_s[0]) / _DAY
    wave = draws.uniform(2, 5) * _wave(times_s, draws.random())
    return _metric(draws, rising + wave, draws.normal(size=times_s.shape))


def _autoregressive(phi: float) -> Kind:
    def kind(draws: Draws, times_s: Numbers) -> Drawn:
        lead = int(10 / (1 - phi))
        noise = draws.normal(scale=np.sqrt(1 - phi * phi), size=len(times_s) + lead)
        values = np.asarray(lfilter([1.0], [1.0, -phi], noise))[lead:]
        return _metric(draws, np.zeros(times_s.shape), values)

    return kind


def _poisson(rate: float) -> Kind:
    def kind(draws: Draws, times_s: Numbers) -> Drawn:
        return _counted(draws, np.full(times_s.shape, rate * draws.uniform(0.7, 1.4)))

    return kind


def _daily_poisson(draws: Draws, times_s: Numbers) -> Drawn:
    return _counted(draws, 20 * np.exp(0.9 * _wave(times_s, draws.random())))


def _weekly_poisson(draws: Draws, times_s: Numbers) -> Drawn:
    return _counted(draws, 3 + draws.uniform(40, 80) * _office(times_s))


def _heavy(draws: Draws, times_s: Numbers) -> Drawn:
    return _metric(draws, np.zeros(times_s.shape), draws.standard_t(3, times_s.shape))


def _lognormal(draws: Draws, times_s: Numbers) -> Drawn:
    noise = np.exp(draws.normal(scale=0.7, size=times_s.shape))
    return _metric(draws, np.full(times_s.shape, 1.0), noise - 1.0)


def _latency(draws: Draws, times_s: Numbers) -> Drawn:
    wave = 1 + 0.5 * _wave(times_s, draws.random())
    noise = draws.gamma(4.0, 0.25, times_s.shape)
    scale = 10.0 ** draws.uniform(-1, 3)
    return Drawn(scale * wave, scale * wave * noise, scale * 0.5)


def _scheduled(draws: Draws, times_s: Numbers) -> Drawn:
    hours = draws.choice(24, 3, replace=False)
    busy = 12.0 * np.isin(times_s % _DAY // 3600, hours)
    return _metric(draws, busy, draws.normal(size=times_s.shape))


def _rounded(draws: Draws, times_s: Numbers) -> Drawn:
    expected = 6 + 3 * _wave(times_s, draws.random())
    seen = np.round(expected + draws.normal(scale=0.7, size=times_s.shape))
    return Drawn(expected, seen, 0.7)


def _eight_hours(draws: Draws, times_s: Numbers) -> Drawn:
    wave = draws.uniform(2, 5) * _wave(times_s, draws.random(), 8 * 3600.0)
    return _metric(draws, wave, draws.normal(size=times_s.shape))


def _share(draws: Draws, times_s: Numbers) -> Drawn:
    expected = np.clip(0.93 + 0.03 * _wave(times_s, draws.random()), 0.0, 1.0)
    return Drawn(expected, draws.beta(expected * 150, (1 - expected) * 150), 0.02)


KINDS: Final = MappingProxyType(
    {
        "noise": _noise,
        "daily": _daily,
        "daily, weekend": _weekly,
        "office hours": _offices,
        "trend": _trend,
        "daily, trend": _daily_trend,
        "AR(1) 0.7": _autoregressive(0.7),
        "AR(1) 0.98": _autoregressive(0.98),
        "counts of 0.1": _poisson(0.1),
        "counts of 3": _poisson(3.0),
        "counts of 100": _poisson(100.0),
        "daily counts": _daily_poisson,
        "office counts": _weekly_poisson,
        "heavy tails (t3)": _heavy,
        "lognormal": _lognormal,
        "daily latency": _latency,
        "scheduled jobs": _scheduled,
        "whole numbers": _rounded,
        "eight hours": _eight_hours,
        "share near 1": _share,
    }
)
