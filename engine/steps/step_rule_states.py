"""Where each rule on a step metric stands, evaluation by evaluation, as columns.

- *warm-up* while the window has fewer steps than the rule wants, *no data* where its value is
  undefined: both end a run of violations.
- A violation is a value strictly beyond the threshold; once violated, beyond `resolve`.
- A violation gives an alert when there was none before, or so many evaluations ago as the rule
  says: *firing*; else it is *suppressed*.

A watcher is a rule on one series. It is evaluated at each new highest step of the series.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from engine.rules.states import NONE, STATES

__all__ = ["Evaluated", "Observed", "Stand", "Stands", "Traits", "advance"]

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_OK, _FIRING, _SUPPRESSED, _NO_DATA, _WARM_UP = range(len(STATES))


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """What the rule of each watcher says, shape (w,) each; `resolve` is never NaN."""

    upper: Flags
    threshold: Floats
    resolve: Floats
    least: Ints
    wait: Ints


@dataclass(slots=True, eq=False)
class Stands:
    """Where each watcher stands, shape (w,) each.

    Attributes
    ----------
    value, samples, state
        Of the last evaluation; state `NONE` before the first.
    since_us : int64
        When the run of violations began, `NONE` where there is none.
    waited : int64
        Evaluations since the last alert, `NONE` before the first.
    suppressed_us : int64
        When the first violation since was suppressed, `NONE` where none was.
    """

    value: Floats
    samples: Ints
    state: Ints
    since_us: Ints
    waited: Ints
    suppressed_us: Ints

    @staticmethod
    def fresh(count: int) -> "Stands":
        """Give watchers that have seen nothing."""
        none = [np.full(count, NONE) for _ in range(4)]
        return Stands(np.full(count, np.nan), np.zeros(count, np.int64), *none)

    def grow(self, count: int) -> None:
        """Add watchers at the end."""
        new = Stands.fresh(count)
        for each in fields(self):
            joined = np.concatenate((getattr(self, each.name), getattr(new, each.name)))
            setattr(self, each.name, joined)

    def put(self, number: int, stood: "Stand") -> None:
        """Let a watcher go on where it stood."""
        for each in fields(self):
            getattr(self, each.name)[number] = getattr(stood, each.name)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one watcher stood; see `Stands`."""

    value: float
    samples: int
    state: int
    since_us: int
    waited: int
    suppressed_us: int


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Evaluations by watcher (rising) and line, shape (n,) each."""

    watcher: Ints
    value: Floats
    samples: Ints
    time_us: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """What came of evaluations, shape (n,) each; `told`: it differs from the one before."""

    state: Ints
    since_us: Ints
    told: Flags
    suppressed_us: Ints


def advance(traits: Traits, stands: Stands, seen: Observed) -> Evaluated:
    """Go through evaluations; `stands` is changed."""
    who = seen.watcher
    first = np.append(True, who[1:] != who[:-1])
    category = np.where(
        seen.samples < traits.least[who], _WARM_UP, np.where(np.isnan(seen.value), _NO_DATA, _OK)
    )
    before = np.isin(stands.state[who], (_FIRING, _SUPPRESSED))
    violated = _violated(traits, seen, category == _OK, first, before)
    since_us = _since(stands, seen, violated, first, before)
    fires, suppressed_us = _fires(traits, stands, seen, violated, first)
    state = np.where(violated, np.where(fires, _FIRING, _SUPPRESSED), category)
    told = _told(stands, seen, state, first)
    last = np.flatnonzero(np.append(who[1:] != who[:-1], True))
    ends = who[last]
    stands.value[ends], stands.samples[ends] = seen.value[last], seen.samples[last]
    stands.state[ends], stands.since_us[ends] = state[last], since_us[last]
    return Evaluated(state, since_us, told, suppressed_us)


def _latest(flags: Flags) -> Ints:
    """Give the place of the last flag up to each place; the first one has a flag."""
    found: Ints = np.maximum.accumulate(np.where(flags, np.arange(len(flags)), 0))
    return found


def _violated(traits: Traits, seen: Observed, ok: Flags, first: Flags, before: Flags) -> Flags:
    upper, value = traits.upper[seen.watcher], seen.value
    limit, resolve = traits.threshold[seen.watcher], traits.resolve[seen.watcher]
    beyond = ok & np.where(upper, value > limit, value < limit)
    held = ok & np.where(upper, value > resolve, value < resolve)
    # In between, the one before decides.
    decided = beyond | ~held
    found: Flags = np.where(decided, beyond, before)[_latest(decided | first)]
    return found


def _since(stands: Stands, seen: Observed, violated: Flags, first: Flags, before: Flags) -> Ints:
    go_on = np.where(first, before, np.append(False, violated[:-1]))
    begins = violated & ~go_on
    at = _latest(begins | first)
    found = np.where(begins, seen.time_us, stands.since_us[seen.watcher])[at]
    return np.where(violated, found, NONE)


def _told(stands: Stands, seen: Observed, state: Ints, first: Flags) -> Flags:
    who, value, samples = seen.watcher, seen.value, seen.samples
    value_before = np.where(first, stands.value[who], np.append(np.nan, value[:-1]))
    samples_before = np.where(first, stands.samples[who], np.append(0, samples[:-1]))
    state_before = np.where(first, stands.state[who], np.append(NONE, state[:-1]))
    same = (value == value_before) | (np.isnan(value) & np.isnan(value_before))
    found: Flags = ~(same & (samples == samples_before) & (state == state_before))
    return found


def _fires(
    traits: Traits, stands: Stands, seen: Observed, violated: Flags, first: Flags
) -> tuple[Flags, Ints]:
    """Tell which violations give alerts, and what was suppressed before each of them."""
    fires, suppressed_us = violated.copy(), np.full(len(violated), NONE)
    starts = np.flatnonzero(first)
    stops = np.append(starts[1:], len(first))
    who = seen.watcher[starts]
    waits = np.flatnonzero(traits.wait[who] > 1)  # all others never wait
    for watcher, start, stop in zip(
        *(column[waits].tolist() for column in (who, starts, stops)), strict=True
    ):
        places = start + np.flatnonzero(violated[start:stop])
        given, hushed, waited = _spaced(
            places, start, int(traits.wait[watcher]), int(stands.waited[watcher])
        )
        fires[places] = False
        fires[given] = True
        carried = int(stands.suppressed_us[watcher])
        for place, first_hushed in zip(given, hushed, strict=False):
            if carried == NONE and first_hushed is not None:
                carried = int(seen.time_us[first_hushed])
            suppressed_us[place], carried = carried, NONE
        rest = hushed[len(given)]
        if carried == NONE and rest is not None:
            carried = int(seen.time_us[rest])
        stands.suppressed_us[watcher] = carried
        stands.waited[watcher] = NONE if waited == NONE else waited + stop
    return fires, suppressed_us


def _spaced(
    places: Ints, start: int, wait: int, waited: int
) -> tuple[list[int], list[int | None], int]:
    """Choose the violations of a watcher that give alerts.

    Returns
    -------
    list of int
        Their places.
    list of int or None
        The first violation suppressed before each of them, and behind the last.
    int
        Evaluations since the last alert at a place, less that place; `NONE` without any.
    """
    given: list[int] = []
    hushed: list[int | None] = []
    free = start if waited == NONE else start + wait - waited - 1
    offset = NONE if waited == NONE else waited - start
    at = 0
    while True:
        due = int(np.searchsorted(places, free))
        hushed.append(int(places[at]) if at < min(due, len(places)) else None)
        if due >= len(places):
            return given, hushed, offset
        given.append(int(places[due]))
        at, free, offset = due + 1, given[-1] + wait, -given[-1] - 1
