"""The state of each watcher, boundary by boundary: warm-up, no data, ok, firing or suppressed.

Rules, at a boundary t:

- *warm-up* while the window began before the model's first event; it ends every run.
- *no data* where the value is undefined, or its samples or its label coverage are too few. It ends
  a run, unless the rule alerts on no data: then it counts as a violation without a value.
- A violation is a value strictly beyond the threshold; once raised, beyond `resolve_threshold`.
- A run of violations is *held*, and raised, once it has lasted as long as the rule says.
- A held violation gives an alert when the last alert is at least the waiting time ago: *firing*.
  All other violations are *suppressed*. The last alert survives recoveries.

Most watchers are quiet: they are worked through as columns. One that violates, or did before, is
followed run by run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from engine.rules.changes import Flags, Floats, Ints, Observed

__all__ = ["NONE", "STATES", "Alerts", "Evaluations", "Following", "Traits", "advance"]

STATES = ("ok", "firing", "suppressed", "no_data", "warm_up")
OK, FIRING, SUPPRESSED, NO_DATA, WARM_UP = range(5)
NONE = np.iinfo(np.int64).min
"""No time, no state: not yet."""

SECOND_US = 1_000_000


@dataclass(slots=True)
class Traits:
    """What the rule of each watcher says, shape (w,) each; the windows are the same for all.

    `upper`: fires above. `resolve` is NaN where firing ends at the threshold. `start_s` is the
    first boundary that is evaluated.
    """

    step_s: int
    lookback_s: int
    upper: Flags
    resolve: Floats
    wait_us: Ints
    hold_us: Ints
    alert_no_data: Flags
    min_samples: Ints
    min_coverage: Floats
    first_event_us: Ints
    start_s: Ints


@dataclass(slots=True)
class Following:
    """Where each watcher stands; shape (w,) each.

    Times are seconds, `NONE` where there is none. `told_value` and `told_samples` are those of the
    evaluation stored last.
    """

    value: Floats
    samples: Ints
    coverage: Floats
    threshold: Floats
    state: Ints
    since_s: Ints
    raised: Flags
    last_alert_s: Ints
    suppressed_s: Ints
    told_value: Floats
    told_samples: Ints


@dataclass(slots=True)
class Evaluations:
    """Rows to store: only where value, samples or state differ from the row before."""

    watcher: list[Ints] = field(default_factory=list)
    time_s: list[Ints] = field(default_factory=list)
    value: list[Floats] = field(default_factory=list)
    samples: list[Ints] = field(default_factory=list)
    state: list[Ints] = field(default_factory=list)
    since_s: list[Ints] = field(default_factory=list)


@dataclass(slots=True)
class Alerts:
    """Alerts given. `threshold`: the rule's, or the dynamic one, that held."""

    watcher: list[Ints] = field(default_factory=list)
    time_s: list[Ints] = field(default_factory=list)
    value: list[Floats] = field(default_factory=list)
    samples: list[Ints] = field(default_factory=list)
    suppressed_s: list[Ints] = field(default_factory=list)
    threshold: list[Floats] = field(default_factory=list)


def advance(
    traits: Traits,
    following: Following,
    rows: Observed,
    done_s: int,
    until_s: int,
) -> tuple[Evaluations, Alerts]:
    """Bring every watcher from the boundaries up to `done_s` to those up to `until_s`.

    Parameters
    ----------
    traits, following : Traits, Following
        `following` is changed.
    rows : Observed
        All changes at boundaries in (done_s, until_s] and not before a watcher's start.

    Returns
    -------
    Evaluations, Alerts
    """
    evaluations, alerts = Evaluations(), Alerts()
    category = _categories(traits, rows)
    beyond = _beyond(rows.value, rows.threshold, traits.upper[rows.watcher]) & (category == OK)
    beyond |= (category == NO_DATA) & traits.alert_no_data[rows.watcher]
    loud = following.since_s != NONE
    loud[rows.watcher[beyond]] = True
    _quiet(rows, category, ~loud[rows.watcher], following, evaluations)
    if loud.any():
        standing = traits, following, np.flatnonzero(loud)
        told = _loud(standing, rows, category, done_s, until_s)
        told.give(evaluations, alerts)
    return evaluations, alerts


def _categories(traits: Traits, rows: Observed) -> Ints:
    who = rows.watcher
    warm = (rows.time_s - traits.lookback_s) * SECOND_US < traits.first_event_us[who]
    few = (
        np.isnan(rows.value)
        | (rows.samples < traits.min_samples[who])
        | (rows.coverage < traits.min_coverage[who])
    )
    return np.where(warm, WARM_UP, np.where(few, NO_DATA, OK))


def _beyond(value: Floats, threshold: Floats, upper: Flags) -> Flags:
    # A comparison with NaN is False: what is undefined violates nothing.
    return np.where(upper, value > threshold, value < threshold)


def _quiet(
    rows: Observed, state: Ints, quiet: Flags, following: Following, evaluations: Evaluations
) -> None:
    """Tell what changed of watchers that violate nothing, and where they stand now."""
    where = np.flatnonzero(quiet)
    if not len(where):
        return
    who, value = rows.watcher[where], rows.value[where]
    samples, state = rows.samples[where], state[where]
    first = np.append(True, who[1:] != who[:-1])
    value_before = np.where(first, following.told_value[who], np.append(np.nan, value[:-1]))
    samples_before = np.where(first, following.told_samples[who], np.append(0, samples[:-1]))
    state_before = np.where(first, following.state[who], np.append(0, state[:-1]))
    same = (value == value_before) | (np.isnan(value) & np.isnan(value_before))
    told = ~(same & (samples == samples_before) & (state == state_before))
    evaluations.watcher.append(who[told])
    evaluations.time_s.append(rows.time_s[where][told])
    evaluations.value.append(value[told])
    evaluations.samples.append(samples[told])
    evaluations.state.append(state[told])
    evaluations.since_s.append(np.full(int(told.sum()), NONE))
    last = np.flatnonzero(np.append(who[1:] != who[:-1], True))
    ends = who[last]
    following.value[ends] = following.told_value[ends] = value[last]
    following.samples[ends] = following.told_samples[ends] = samples[last]
    following.coverage[ends] = rows.coverage[where][last]
    following.threshold[ends] = rows.threshold[where][last]
    following.state[ends] = state[last]


def _loud(
    standing: tuple[Traits, Following, Ints],
    rows: Observed,
    category: Ints,
    done_s: int,
    until_s: int,
) -> "_Told":
    """Follow some watchers one by one: from columns to plain numbers, and back again."""
    traits, following, loud = standing
    told = _Told()
    columns = [getattr(traits, name)[loud].tolist() for name in _TRAITS]
    columns += [getattr(following, name)[loud].tolist() for name in _STAND]
    fixed = traits.step_s, traits.lookback_s
    walks = [_Walk(told, *fixed, *each) for each in zip(loud.tolist(), *columns, strict=True)]
    mine = np.flatnonzero(np.isin(rows.watcher, loud))
    seen = [
        column[mine].tolist()
        for column in (*(getattr(rows, name) for name in ("time_s", *_SEEN)), category)
    ]
    bounds = np.searchsorted(rows.watcher[mine], loud).tolist()
    for walk, start, stop in zip(walks, bounds, [*bounds[1:], len(mine)], strict=True):
        walk.through([column[start:stop] for column in seen], done_s, until_s)
    for name in _STAND:
        getattr(following, name)[loud] = [getattr(walk, name) for walk in walks]
    return told


_TRAITS = (
    *("upper", "resolve", "wait_us", "hold_us", "alert_no_data", "min_samples", "min_coverage"),
    *("first_event_us", "start_s"),
)
_SEEN = ("value", "samples", "coverage", "threshold")
_STAND = (
    *_SEEN,
    *("state", "since_s", "raised", "last_alert_s", "suppressed_s", "told_value", "told_samples"),
)


class _Told:
    """Evaluations and alerts, one by one."""

    def __init__(self) -> None:
        self.evaluations: list[tuple[int, int, float, int, int, int]] = []
        self.alerts: list[tuple[int, int, float, int, int, float]] = []

    def give(self, evaluations: Evaluations, alerts: Alerts) -> None:
        """Put them with those that came as columns."""
        for to, rows in ((evaluations, self.evaluations), (alerts, self.alerts)):
            for each, column in zip(fields(to), zip(*rows, strict=True), strict=False):
                kind = np.float64 if each.name in {"value", "threshold"} else np.int64
                getattr(to, each.name).append(np.array(column, kind))


@dataclass(slots=True)
class _Walk:
    """Follows one watcher from boundary to boundary; see `Traits` and `Following`."""

    told: _Told
    step_s: int
    lookback_s: int
    who: int
    upper: bool
    resolve: float
    wait_us: int
    hold_us: int
    alert_no_data: bool
    min_samples: int
    min_coverage: float
    first_event_us: int
    start_s: int
    value: float
    samples: int
    coverage: float
    threshold: float
    state: int
    since_s: int
    raised: bool
    last_alert_s: int
    suppressed_s: int
    told_value: float
    told_samples: int

    def through(self, seen: Sequence[Sequence[Any]], done_s: int, until_s: int) -> None:
        """Go through all boundaries in (done_s, until_s]; `seen`: the columns of its rows."""
        step, times = self.step_s, seen[0]
        begin = max(done_s // step * step + step, self.start_s)
        end = until_s // step * step + step
        first = times[0] if times else end
        if begin < first:
            # Nothing has changed at the first boundary: what held before goes on.
            self._span(begin, first, self._standing(begin))
        stops = [*times[1:], end]
        for start, value, samples, coverage, threshold, kind, stop in zip(
            *seen, stops[: len(times)], strict=True
        ):
            self.value, self.samples = value, samples
            self.coverage, self.threshold = coverage, threshold
            self._span(start, stop, kind)

    def _span(self, start: int, stop: int, kind: int) -> None:
        """Go through the boundaries in [start, stop), where nothing but the time changes."""
        if not self._violates(kind):
            self.since_s, self.raised = NONE, False
            self._tell(start, kind, self.value)
        else:
            self._go_on(start, stop, kind)

    def _go_on(self, start: int, stop: int, kind: int) -> None:
        """Go through the boundaries in [start, stop), where the rule is violated."""
        # What violates for want of data does so without a value.
        value = math.nan if kind == NO_DATA else self.value
        if self.since_s == NONE:
            self.since_s = start
        at = max(start, _on_grid(self.since_s + _ceil_s(self.hold_us), self.step_s))
        if start < at:
            self._suppress(start, value)
        if at >= stop:
            return
        self.raised = True
        wait_s = _ceil_s(self.wait_us)
        while at < stop:
            due = at
            if self.last_alert_s != NONE:
                due = max(at, _on_grid(self.last_alert_s + wait_s, self.step_s))
            if due > at:
                self._suppress(at, value)
            if due >= stop:
                return
            self._fire(due, value)
            at = due + self.step_s

    def _standing(self, start: int) -> int:
        """Give the category of what goes on unchanged."""
        if (start - self.lookback_s) * SECOND_US < self.first_event_us:
            return WARM_UP
        few = self.samples < self.min_samples or self.coverage < self.min_coverage
        return NO_DATA if few or math.isnan(self.value) else OK

    def _violates(self, kind: int) -> bool:
        if kind == NO_DATA:
            return self.alert_no_data
        if kind == WARM_UP:
            return False
        # What is raised goes on until it is back beyond the other threshold.
        resolves = self.raised and not math.isnan(self.resolve)
        limit = self.resolve if resolves else self.threshold
        return self.value > limit if self.upper else self.value < limit

    def _fire(self, time_s: int, value: float) -> None:
        self._tell(time_s, FIRING, value)
        row = (self.who, time_s, value, self.samples, self.suppressed_s, self.threshold)
        self.told.alerts.append(row)
        self.last_alert_s, self.suppressed_s = time_s, NONE

    def _suppress(self, time_s: int, value: float) -> None:
        if self.suppressed_s == NONE:
            self.suppressed_s = time_s
        self._tell(time_s, SUPPRESSED, value)

    def _tell(self, time_s: int, state: int, value: float) -> None:
        before, samples = self.told_value, self.samples
        same = value == before or (math.isnan(value) and math.isnan(before))
        if same and samples == self.told_samples and state == self.state:
            return
        self.told_value, self.told_samples, self.state = value, samples, state
        row = (self.who, time_s, value, samples, state, self.since_s)
        self.told.evaluations.append(row)


def _ceil_s(span_us: int) -> int:
    """Give the least whole seconds not below a span: boundaries are whole seconds."""
    return -(-span_us // SECOND_US)


def _on_grid(time_s: int, step_s: int) -> int:
    """Give the first boundary not before a time."""
    return -(-time_s // step_s) * step_s
