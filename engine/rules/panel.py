"""A panel: the rules that share a track, and where each of their watchers stands.

A watcher is one rule on one series of the track. It is there from the boundary behind the first
prediction of its model (and group) on; what it saw before a restart comes back from `evaluations`
and `alerts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.rules.changes import Observed, Seen, observed
from engine.rules.definition import Rule
from engine.rules.states import NONE, SECOND_US, Alerts, Evaluations, Following, Traits, advance
from engine.rules.tracks import AmountTrack, Reading, Track

Ids = tuple["pa.Array[Any]", "pa.Array[Any]", "pa.Array[Any]"]

__all__ = ["Ids", "Panel", "Stand", "Versioned", "Watcher"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Versioned:
    """A rule with its version."""

    rule: Rule
    version: int


@dataclass(frozen=True, slots=True)
class Watcher:
    """A rule on a model or one group of it."""

    rule: Versioned
    model_no: int
    group: str | None
    series: int


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a watcher stood when the store was last written."""

    value: float
    samples: int
    state: int
    since_s: int
    last_alert_s: int
    suppressed_s: int


class Panel:
    """The rules of one track.

    Parameters
    ----------
    track : Track
    coverage : AmountTrack or None
        Events and labelled events by model, where a rule asks for a least label coverage.
    group : str or None
        Resolved name of the property that the series are told apart by.
    done_s : int
        The watermark, seconds: boundaries up to it were passed already; `NONE` for none.
    """

    def __init__(
        self, track: Track, coverage: AmountTrack | None, group: str | None, done_s: int
    ) -> None:
        self.track = track
        self.coverage = coverage
        self.group = group
        self.ids: Ids = _ids([])
        self.watchers: list[Watcher] = []
        self.rules: dict[int, list[Versioned]] = {}
        self._done_s = done_s
        self._traits = _empty_traits(track)
        self._following = _empty_following()
        self._joining: list[tuple[Watcher, Stand | None, int, int]] = []
        self._by_series = np.zeros(0, np.int64)

    @property
    def models(self) -> list[int]:
        """Numbers of the models watched."""
        return sorted(self.rules)

    def add_rule(self, model_no: int, rule: Versioned) -> None:
        """Watch a model; before its first series."""
        self.rules.setdefault(model_no, []).append(rule)

    def join(
        self,
        model_no: int,
        group: str | None,
        first_event_us: int,
        start_s: int,
        stands: "dict[tuple[str, str | None], Stand] | None" = None,
    ) -> None:
        """Begin to watch a model, or a group of it, if it is not watched yet.

        Parameters
        ----------
        first_event_us : int
            Time of the model's first prediction line.
        start_s : int
            Boundaries behind it are evaluated.
        stands : mapping
            By rule id and group, what held before a restart.
        """
        series = self.track.series.admit(model_no, group)
        if series is None:
            return
        if self.coverage is not None:
            self.coverage.series.admit(model_no, None)
        name = self.track.series.keys[series][1]
        for rule in self.rules.get(model_no, ()):
            stand = (stands or {}).get((str(rule.rule.rule_id), name))
            self._joining.append(
                (Watcher(rule, model_no, name, series), stand, first_event_us, start_s)
            )

    def evaluate(self, until_s: int) -> tuple[Evaluations, Alerts]:
        """Evaluate all boundaries up to the watermark `until_s`."""
        self._enrol()
        step = self.track.step_s
        until = until_s // step * step
        done = self._done_s
        if not self.watchers or until <= done:
            return Evaluations(), Alerts()
        self._done_s = until
        rows = observed(self._seen(done, until), self._before())
        return advance(self._traits, self._following, rows, done, until)

    def _seen(self, done: int, until: int) -> list[Seen]:
        reading, traits = self.track.advance(until), self._traits
        watcher, row = self._expanded(reading.series, self._by_series)
        threshold = self._thresholds(reading, watcher, row)
        parts = [
            Seen(
                watcher,
                reading.time_s[row],
                reading.value[row],
                reading.samples[row],
                None,
                threshold,
            )
        ]
        if self.coverage is not None:
            share = self.coverage.advance(until)
            models = np.array([key[0] for key in self.coverage.series.keys], np.int64)
            own = np.array([each.model_no for each in self.watchers], np.int64)
            watcher, row = self._expanded(models[share.series], own)
            # What changed before a watcher's start holds at its start; of several rows the last.
            times = np.maximum(share.time_s[row], traits.start_s[watcher])
            value, ahead = share.value[row], times > until
            self._following.coverage[watcher[ahead]] = value[ahead]
            parts.append(Seen(watcher[~ahead], times[~ahead], None, None, value[~ahead]))
        step = self.track.step_s
        warm_us = traits.first_event_us + self.track.lookback_s * SECOND_US
        warm_s = -(-warm_us // (step * SECOND_US)) * step
        for times in (traits.start_s, warm_s):
            now = np.flatnonzero((times > done) & (times <= until) & (times >= traits.start_s))
            parts.append(Seen(now, times[now]))
        return parts

    def _thresholds(self, reading: Reading, watcher: Ints, row: Ints) -> Floats | None:
        """Give the threshold of each row where it is dynamic, beyond the warm-up."""
        if not self._dynamic:
            return None
        traits = self._traits
        start_us = (reading.time_s[row] - self.track.lookback_s) * SECOND_US
        ready = np.flatnonzero(start_us >= traits.first_event_us[watcher])
        found = np.full(len(row), np.inf)
        told = self.track.thresholds(
            reading.series[row[ready]], reading.samples[row[ready]], reading.value[row[ready]]
        )
        if told is not None:
            found[ready] = told
        return found

    @property
    def _dynamic(self) -> bool:
        return bool(self.watchers) and self.watchers[0].rule.rule.settings.threshold is None

    def _expanded(self, keys: Ints, of_watcher: Ints) -> tuple[Ints, Ints]:
        """Give every pair (watcher, row) whose key is the same."""
        order = np.argsort(of_watcher, kind="stable")
        ordered = of_watcher[order]
        low = np.searchsorted(ordered, keys, side="left")
        counts = np.searchsorted(ordered, keys, side="right") - low
        row = np.repeat(np.arange(len(keys)), counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        return order[np.repeat(low, counts) + within], row

    def _before(self) -> Observed:
        following = self._following
        return Observed(
            np.arange(len(self.watchers)),
            np.zeros(0, np.int64),
            following.value,
            following.samples,
            following.coverage,
            following.threshold,
        )

    def _enrol(self) -> None:
        """Give the watchers that have joined their place in the columns."""
        if not self._joining:
            return
        joining, self._joining = self._joining, []
        blank, samples = self.track.blank()
        last = self._done_s // self.track.step_s * self.track.step_s
        self.watchers += [watcher for watcher, *_ in joining]
        self._by_series = np.array([each.series for each in self.watchers], np.int64)
        self.ids = _ids(self.watchers)
        _append(self._traits, [_traits_of(w, first, start) for w, _, first, start in joining])
        _append(
            self._following,
            [
                {
                    **_following_of(watcher, stand, blank, samples),
                    "coverage": self._coverage_of(watcher.model_no),
                    "raised": stand is not None and _was_raised(watcher, stand, last),
                }
                for watcher, stand, *_ in joining
            ],
        )

    def _coverage_of(self, model_no: int) -> float:
        return np.nan if self.coverage is None else self.coverage.current(model_no)


def _ids(watchers: Sequence[Watcher]) -> Ids:
    return (
        pa.array([str(each.rule.rule.rule_id) for each in watchers], pa.string()),
        pa.array([each.rule.version for each in watchers], pa.int32()),
        pa.array([each.group for each in watchers], pa.string()),
    )


def _was_raised(watcher: Watcher, stand: Stand, last_s: int) -> bool:
    """Tell whether the run that a watcher was in had been held by the last boundary."""
    held_us = (last_s - stand.since_s) * SECOND_US
    return stand.since_s != NONE and held_us >= watcher.rule.rule.settings.hold_us


def _traits_of(watcher: Watcher, first_event_us: int, start_s: int) -> dict[str, Any]:
    settings = watcher.rule.rule.settings
    resolve = settings.resolve_threshold
    return {
        "upper": settings.bound == "upper",
        "resolve": np.nan if resolve is None else resolve,
        "wait_us": settings.wait_us,
        "hold_us": settings.hold_us,
        "alert_no_data": settings.on_no_data == "alert",
        "min_samples": settings.min_sample_count,
        "min_coverage": settings.min_label_coverage,
        "first_event_us": first_event_us,
        "start_s": start_s,
    }


def _following_of(
    watcher: Watcher, stand: Stand | None, blank: float, samples: int
) -> dict[str, Any]:
    settings = watcher.rule.rule.settings
    threshold = np.nan if settings.threshold is None else settings.threshold
    made: dict[str, Any] = {
        "value": blank,
        "samples": samples,
        "coverage": np.nan,
        "threshold": threshold,
        "state": NONE,
        "since_s": NONE,
        "raised": False,
        "last_alert_s": NONE,
        "suppressed_s": NONE,
        "told_value": np.nan,
        "told_samples": -1,
    }
    if stand is not None:
        made |= {
            "state": stand.state,
            "since_s": stand.since_s,
            "last_alert_s": stand.last_alert_s,
            "suppressed_s": stand.suppressed_s,
            "told_value": stand.value,
            "told_samples": stand.samples,
        }
    return made


def _empty_traits(track: Track) -> Traits:
    whole, real, flag = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_)
    return Traits(
        track.step_s, track.lookback_s, flag, real, whole, whole, flag, whole, real, whole, whole
    )


def _empty_following() -> Following:
    whole, real, flag = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_)
    return Following(real, whole, real, real, whole, whole, flag, whole, whole, real, whole)


def _append(columns: Traits | Following, rows: Sequence[dict[str, Any]]) -> None:
    for each in fields(columns):
        before = getattr(columns, each.name)
        if isinstance(before, np.ndarray):
            more = np.array([row[each.name] for row in rows], before.dtype)
            setattr(columns, each.name, np.concatenate((before, more)))
