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

from dataclasses import dataclass, field

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
    """Alerts given; one entry each. `threshold`: the one that held."""

    watcher: list[int] = field(default_factory=list)
    time_s: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    suppressed_s: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)


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
        bounds = np.searchsorted(rows.watcher, np.arange(len(loud) + 1))
        for watcher in np.flatnonzero(loud):
            span = slice(int(bounds[watcher]), int(bounds[watcher + 1]))
            walk = _Walk(traits, following, int(watcher), evaluations, alerts)
            walk.through(rows, category, span, done_s, until_s)
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


@dataclass(slots=True)
class _Walk:
    """Follows one watcher from boundary to boundary."""

    traits: Traits
    following: Following
    watcher: int
    evaluations: Evaluations
    alerts: Alerts
    _value: float | None = None

    def through(
        self,
        rows: Observed,
        category: Ints,
        span: slice,
        done_s: int,
        until_s: int,
    ) -> None:
        """Go through all boundaries in (done_s, until_s]."""
        traits, following, who = self.traits, self.following, self.watcher
        step = traits.step_s
        times = rows.time_s[span].tolist()
        begin = max(done_s // step * step + step, int(traits.start_s[who]))
        last = until_s // step * step
        if begin <= last and (not times or times[0] > begin):
            # Nothing has changed at the first boundary: what held before goes on.
            self._span(begin, times[0] if times else last + step, following, None)
        for place, start in enumerate(times):
            row = span.start + place
            following.value[who] = rows.value[row]
            following.samples[who] = rows.samples[row]
            following.coverage[who] = rows.coverage[row]
            following.threshold[who] = rows.threshold[row]
            stop = times[place + 1] if place + 1 < len(times) else last + step
            self._span(start, stop, following, int(category[row]))

    def _span(self, start: int, stop: int, following: Following, category: int | None) -> None:
        """Go through the boundaries in [start, stop), where nothing but the time changes."""
        traits, who = self.traits, self.watcher
        self._value = None
        kind = self._standing(start) if category is None else category
        limit = float(following.threshold[who])
        if not self._violates(kind, limit):
            following.since_s[who], following.raised[who] = NONE, False
            self._tell(start, kind)
            return
        # What violates for want of data does so without a value.
        self._value = float("nan") if kind == NO_DATA else float(following.value[who])
        if following.since_s[who] == NONE:
            following.since_s[who] = start
        step, since = traits.step_s, int(following.since_s[who])
        held = _on_grid(since + _ceil_s(int(traits.hold_us[who])), step)
        at = max(start, held)
        if start < at:
            self._suppress(start)
        if at >= stop:
            return
        following.raised[who] = True
        wait_s = _ceil_s(int(traits.wait_us[who]))
        while at < stop:
            last = int(following.last_alert_s[who])
            due = at if last == NONE else max(at, _on_grid(last + wait_s, step))
            if due > at:
                self._suppress(at)
            if due >= stop:
                return
            self._fire(due, limit)
            at = due + step

    def _standing(self, start: int) -> int:
        """Give the category of what goes on unchanged."""
        traits, following, who = self.traits, self.following, self.watcher
        row = Observed(
            np.array([who]),
            np.array([start]),
            following.value[[who]],
            following.samples[[who]],
            following.coverage[[who]],
            following.threshold[[who]],
        )
        return int(_categories(traits, row)[0])

    def _violates(self, kind: int, limit: float) -> bool:
        traits, following, who = self.traits, self.following, self.watcher
        if kind == NO_DATA:
            return bool(traits.alert_no_data[who])
        if kind == WARM_UP:
            return False
        resolve = float(traits.resolve[who])
        if following.raised[who] and not np.isnan(resolve):
            limit = resolve
        value = float(following.value[who])
        return value > limit if traits.upper[who] else value < limit

    def _fire(self, time_s: int, limit: float) -> None:
        following, who = self.following, self.watcher
        self._tell(time_s, FIRING)
        self.alerts.watcher.append(who)
        self.alerts.time_s.append(time_s)
        self.alerts.value.append(self._now())
        self.alerts.samples.append(int(following.samples[who]))
        self.alerts.suppressed_s.append(int(following.suppressed_s[who]))
        self.alerts.threshold.append(limit)
        following.last_alert_s[who], following.suppressed_s[who] = time_s, NONE

    def _suppress(self, time_s: int) -> None:
        following, who = self.following, self.watcher
        if following.suppressed_s[who] == NONE:
            following.suppressed_s[who] = time_s
        self._tell(time_s, SUPPRESSED)

    def _now(self) -> float:
        return float(self.following.value[self.watcher]) if self._value is None else self._value

    def _tell(self, time_s: int, state: int) -> None:
        following, who = self.following, self.watcher
        value, before = self._now(), float(following.told_value[who])
        same = value == before or (np.isnan(value) and np.isnan(before))
        samples = int(following.samples[who])
        if same and samples == following.told_samples[who] and state == following.state[who]:
            return
        following.told_value[who], following.told_samples[who] = value, samples
        following.state[who] = state
        rows = self.evaluations
        rows.watcher.append(np.array([who]))
        rows.time_s.append(np.array([time_s]))
        rows.value.append(np.array([value]))
        rows.samples.append(np.array([samples]))
        rows.state.append(np.array([state]))
        rows.since_s.append(following.since_s[[who]])


def _ceil_s(span_us: int) -> int:
    """Give the least whole seconds not below a span: boundaries are whole seconds."""
    return -(-span_us // SECOND_US)


def _on_grid(time_s: int, step_s: int) -> int:
    """Give the first boundary not before a time."""
    return -(-time_s // step_s) * step_s
