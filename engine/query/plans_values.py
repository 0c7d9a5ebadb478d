"""Functions of all the values of a window: extremes, quantiles and detectors of change.

`adwin` and `pageHinkley` watch the means of the window's minutes, from the first to the last, and
give the number of changes found: minutes without a value are left out. Quantiles are interpolated
(type 7 of Hyndman & Fan 1996, numpy's default).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np

from engine.query.exact import exact_means, exact_sums
from engine.query.expressions import Scope
from engine.query.plan import Component, Multiset
from engine.query.plans_common import Builder, Counts, Draft, Values
from engine.query.tree import Call

__all__ = ["VALUES", "extreme", "minute_means"]

OfMultiset = Callable[[Multiset, int], tuple[float | None, int]]

_MINUTE_S = 60


def _size(entries: Multiset) -> int:
    return int(entries.weights.sum())


def extreme(which: str, low: float = 0.0, high: float = 1.0) -> OfMultiset:
    """Give the least or greatest entry, so scaled that `low` is 0 and `high` is 1."""

    def of(entries: Multiset, _pane_s: int) -> tuple[float | None, int]:
        if not len(entries.entries):
            return None, 0
        found = entries.entries.min() if which == "min" else entries.entries.max()
        return (float(found) - low) / (high - low), _size(entries)

    return of


def _extreme(call: Call, scope: Scope) -> Draft:
    x = scope.number(call.parameters["property"])
    return Draft((Component("x", "values", x),), of_multiset=extreme(call.function))


def _quantile(call: Call, scope: Scope) -> Draft:
    share = call.parameters.get("q", 0.5)
    q = float(share) if isinstance(share, int | float) else 0.5

    def of(entries: Multiset, _pane_s: int) -> tuple[float | None, int]:
        if not len(entries.entries):
            return None, 0
        order = np.argsort(entries.entries, kind="stable")
        return _between(entries.entries[order], entries.weights[order], q), _size(entries)

    x = scope.number(call.parameters["property"])
    return Draft((Component("x", "values", x),), of_multiset=of)


def _between(entries: Values, weights: Counts, q: float) -> float:
    """Give the quantile of sorted entries."""
    up_to = np.cumsum(weights)
    place = q * float(up_to[-1] - 1)
    below = int(place)
    part = place - below
    low = float(entries[np.searchsorted(up_to, below, side="right")])
    if part == 0.0:
        return low
    high = float(entries[np.searchsorted(up_to, below + 1, side="right")])
    gap = high - low
    if np.isinf(gap):
        return low * (1 - part) + high * part
    return high - gap * (1 - part) if part >= 0.5 else low + gap * part  # as numpy does


def minute_means(entries: Multiset) -> Values:
    """Give the mean of each minute that has an entry, in order of time: correctly rounded."""
    minutes, place = np.unique(entries.panes // _MINUTE_S, return_inverse=True)
    sums = exact_sums(entries.entries, place, len(minutes), entries.weights)
    counts = np.zeros(len(minutes), np.int64)
    np.add.at(counts, place, entries.weights)
    return exact_means(sums, counts)


class _Detector(Protocol):
    @property
    def drift_detected(self) -> bool: ...

    def update(self, x: float) -> object: ...


def _changes(make: Callable[[], _Detector]) -> OfMultiset:
    def of(entries: Multiset, _pane_s: int) -> tuple[float | None, int]:
        if not len(entries.entries):
            return None, 0
        found = sum(_alarms(make(), minute_means(entries)))
        return float(found), _size(entries)

    return of


def _alarms(detector: _Detector, series: Values) -> Iterator[bool]:
    for value in series.tolist():
        detector.update(value)
        yield detector.drift_detected


def _setting(call: Call, name: str, default: float) -> float:
    value = call.parameters.get(name)
    return float(value) if isinstance(value, int | float) else default


def _adwin(call: Call, scope: Scope) -> Draft:
    delta = _setting(call, "delta", 0.002)

    def make() -> _Detector:
        from river.drift import ADWIN  # noqa: PLC0415 - slow to load

        return ADWIN(delta=delta)  # type: ignore[no-untyped-call] # of river

    x = scope.number(call.parameters["property"])
    return Draft((Component("x", "values", x),), of_multiset=_changes(make))


def _page_hinkley(call: Call, scope: Scope) -> Draft:
    delta, threshold = _setting(call, "delta", 0.005), _setting(call, "threshold", 50.0)
    least = int(_setting(call, "min_instances", 30))

    def make() -> _Detector:
        from river.drift import PageHinkley  # noqa: PLC0415 - slow to load

        return PageHinkley(min_instances=least, delta=delta, threshold=threshold)

    x = scope.number(call.parameters["property"])
    return Draft((Component("x", "values", x),), of_multiset=_changes(make))


VALUES: Mapping[str, Builder] = {
    "min": _extreme,
    "max": _extreme,
    "median": _quantile,
    "quantile": _quantile,
    "adwin": _adwin,
    "pageHinkley": _page_hinkley,
}
"""Builders by function."""
