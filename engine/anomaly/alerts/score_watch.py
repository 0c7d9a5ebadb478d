"""Where a rule on scores stands, look by look: ok, firing or suppressed.

- The value at the end of a bucket is the greatest score of so many of the latest buckets; at or
  above the threshold the rule is violated.
- A violation gives an alert when the one before was given at least the waiting time ago: *firing*;
  else it is *suppressed*. One bucket never gives two alerts.
- A bucket may be looked at as it stands (interim), as often as one likes, also while buckets before
  it are open. Such a look may give an alert; whatever else it left is gone when the bucket closes.
- What closed once is not looked at again, also when a job runs anew over stored events.
"""

from dataclasses import dataclass, field

from engine.anomaly.alerts.score_looks import Look
from engine.rules.states import NONE

__all__ = ["Alert", "Evaluation", "ScoreWatch", "Stood"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a rule saw; times are whole seconds, `since_s` is NONE where it is not violated."""

    start_s: int
    end_s: int
    value: float
    samples: int
    state: str
    since_s: int


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; `window` is what the rule saw, in order of time."""

    window: tuple[Look, ...]
    value: float
    samples: int
    triggered_us: int
    suppressed_s: int


@dataclass(slots=True)
class Stood:
    """What a rule needs to know of the past.

    Attributes
    ----------
    done_s : int
        End of the last bucket that was looked at closed, `NONE` before.
    looks : dict of int to Look
        By end: those that a window may still hold, and all interim ones.
    told : Evaluation or None
        The last one stored of a closed bucket.
    alert_us, alert_end_s : int
        When the last alert was given, and the greatest end of a window with an alert.
    alerted : set of int
        Ends of the buckets with an alert that have not closed.
    suppressed_s : int
        The first suppressed end since.
    """

    done_s: int = NONE
    looks: dict[int, Look] = field(default_factory=dict)
    told: Evaluation | None = None
    alert_us: int = NONE
    alert_end_s: int = NONE
    alerted: set[int] = field(default_factory=set)
    suppressed_s: int = NONE


class ScoreWatch:
    """Follows one rule.

    Parameters
    ----------
    span_s, buckets, wait_us : int
        The job's bucket; how many of them a window holds; time between two alerts.
    stood : Stood
        Is changed.
    """

    def __init__(self, span_s: int, buckets: int, wait_us: int, stood: Stood) -> None:
        self.stood = stood
        self._span_s, self._buckets, self._wait_us = span_s, buckets, wait_us

    def see(self, look: Look, at_us: int) -> tuple[Evaluation | None, Alert | None]:
        """Look at a bucket.

        Parameters
        ----------
        look : Look
            Closed ones come in order of time.
        at_us : int
            The watermark for which it is looked at.

        Returns
        -------
        Evaluation or None
            What takes the place of all that was stored of this bucket; None: nothing does.
        Alert or None
        """
        stood = self.stood
        if look.end_s <= stood.done_s:
            return None, None
        stood.looks[look.end_s] = look
        begin_s = look.end_s - self._buckets * self._span_s
        window = tuple(
            stood.looks[end] for end in sorted(stood.looks) if begin_s < end <= look.end_s
        )
        value = max(each.score for each in window)
        samples = sum(each.samples for each in window)
        alert = self._alert(look, window, value, samples, at_us) if samples else None
        state = "ok"
        if samples:
            state = "firing" if look.end_s in stood.alerted else "suppressed"
        evaluation = Evaluation(
            window[0].start_s, look.end_s, value, samples, state, self._since(look, samples)
        )
        return (evaluation if look.is_interim else self._close(evaluation)), alert

    def _since(self, look: Look, samples: int) -> int:
        told = self.stood.told
        if not samples:
            return NONE
        # All that is told of one run has its beginning, also what was left out as unchanged.
        return look.end_s if told is None or told.since_s == NONE else told.since_s

    def _alert(
        self, look: Look, window: tuple[Look, ...], value: float, samples: int, at_us: int
    ) -> Alert | None:
        stood = self.stood
        waited = stood.alert_us == NONE or at_us - stood.alert_us >= self._wait_us
        if look.end_s in stood.alerted or not waited:
            return None
        found = Alert(window, value, samples, at_us, stood.suppressed_s)
        stood.alerted.add(look.end_s)
        stood.alert_us, stood.suppressed_s = at_us, NONE
        stood.alert_end_s = max(stood.alert_end_s, look.end_s)
        return found

    def _close(self, found: Evaluation) -> Evaluation | None:
        """Go on to the next bucket; an evaluation like the one before is not told."""
        stood = self.stood
        stood.done_s = found.end_s
        oldest = found.end_s - (self._buckets - 1) * self._span_s
        # The last one is kept in any case: it says what was looked at.
        stood.looks = {
            end: look for end, look in stood.looks.items() if end > oldest or end >= found.end_s
        }
        stood.alerted = {end for end in stood.alerted if end > found.end_s}
        first = stood.suppressed_s == NONE and found.end_s > stood.alert_end_s
        if found.state == "suppressed" and first:
            stood.suppressed_s = found.end_s
        told = stood.told
        if told is not None and _seen(told) == _seen(found):
            return None
        stood.told = found
        return found


def _seen(evaluation: Evaluation) -> tuple[float, int, str]:
    return evaluation.value, evaluation.samples, evaluation.state
