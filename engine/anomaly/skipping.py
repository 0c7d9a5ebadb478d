"""What custom rules and scheduled events take out of the results and the learning of a job.

A custom rule holds for a result where all its scopes and all its conditions hold; a value that is
unknown (NaN) meets no condition, and a series without a name is among no values. Of several rules
each does what it says. An event of a calendar holds for every bucket that it overlaps: results are
written with score 0, and nothing is learned.
Source: contracts.md ELi-17 and ELi-18.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.anomaly.values import Judgement, Keys
from engine.config import (
    AnomalyJobSettings,
    CalendarEvent,
    CalendarSettings,
    CustomRule,
    DetectorSettings,
    RuleCondition,
)
from engine.errors import ConfigurationError

__all__ = ["Skips"]

Flags = npt.NDArray[np.bool_]

_ACTIONS = ("skip_result", "skip_model_update")
_KINDS = ("by", "over", "partition")
_OPERATORS: Final = MappingProxyType(
    {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
)
_VALUES: Final[MappingProxyType[str, Callable[[Judgement, int], Any]]] = MappingProxyType(
    {
        "actual": lambda judged, _: judged.actual,
        "typical": lambda judged, _: judged.typical,
        "diff_from_typical": lambda judged, _: np.abs(judged.actual - judged.typical),
        "time": lambda judged, start_s: np.full(len(judged.series), start_s),
    }
)
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class _Scope:
    kind: str  # of the names: by, over or partition
    values: "pa.Array[Any]"
    include: bool


@dataclass(frozen=True, slots=True)
class _Rule:
    result: bool
    update: bool
    scopes: tuple[_Scope, ...]
    conditions: tuple[RuleCondition, ...]


@dataclass(frozen=True, slots=True)
class Skips:
    """Custom rules of a job by detector, and its scheduled events.

    Attributes
    ----------
    rules : tuple of tuple
        By place of the detector.
    events : tuple of CalendarEvent
        In order of time.
    """

    rules: tuple[tuple[_Rule, ...], ...]
    events: tuple[CalendarEvent, ...]

    @classmethod
    def of(cls, job: AnomalyJobSettings, calendars: Sequence[CalendarSettings]) -> Self:
        """Make ready what a job is told.

        Parameters
        ----------
        job : AnomalyJobSettings
        calendars : sequence of CalendarSettings
            Of all jobs; those that are not of this one are left out.

        Raises
        ------
        ConfigurationError
            A rule says nothing, or names what there is not.
        """
        at = f"anomaly_jobs[{job.job_id}].detectors"
        rules = tuple(
            tuple(
                _rule(each, detector, f"{at}[{place}].custom_rules[{number}]")
                for number, each in enumerate(detector.custom_rules)
            )
            for place, detector in enumerate(job.detectors)
        )
        mine = [each for each in calendars if not each.job_ids or job.job_id in each.job_ids]
        events = {event for each in mine for event in each.events}
        in_order = sorted(events, key=lambda each: (each.start_us, each.end_us, each.description))
        return cls(rules, tuple(in_order))

    def scheduled(self, start_s: int, span_s: int) -> tuple[str, ...]:
        """Give the descriptions of the events that overlap a bucket, in order of time.

        Examples
        --------
        >>> fair = CalendarEvent("fair", 100_000_000, 160_000_000)
        >>> skips = Skips((), (fair,))
        >>> skips.scheduled(120, 60), skips.scheduled(160, 60)
        (('fair',), ())
        """
        start_us, end_us = start_s * _SECOND_US, (start_s + span_s) * _SECOND_US
        found = [e.description for e in self.events if e.start_us < end_us and start_us < e.end_us]
        return tuple(dict.fromkeys(found))

    def apply(
        self, detector_index: int, judgement: Judgement, keys: Keys, start_s: int
    ) -> tuple[Flags, Flags]:
        """Say which series the custom rules of a detector take out.

        Parameters
        ----------
        detector_index : int
            Its place in the job.
        judgement : Judgement
            Of m series.
        keys : Keys
            Their names, by number.
        start_s : int
            Start of the bucket.

        Returns
        -------
        skip_result : bool, shape (m,)
            No result is to be written.
        skip_update : bool, shape (m,)
            Nothing is to be learned from the value.
        """
        size = len(judgement.series)
        result, update = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        for rule in self.rules[detector_index] if size else ():
            holds = _holds(rule, judgement, keys, start_s)
            if rule.result:
                result |= holds
            if rule.update:
                update |= holds
        return result, update


def _holds(rule: _Rule, judgement: Judgement, keys: Keys, start_s: int) -> Flags:
    """Say for which series a rule holds; scopes look only where the conditions hold."""
    holds = np.ones(len(judgement.series), np.bool_)
    for each in rule.conditions:
        value = _VALUES[each.applies_to](judgement, start_s)
        holds &= _OPERATORS[each.operator](value, each.value)
    for scope in rule.scopes:
        where = np.flatnonzero(holds)
        names = pa.array(getattr(keys, scope.kind)[judgement.series[where]], pa.string())
        within = pc.is_in(names, value_set=scope.values).to_numpy(zero_copy_only=False)
        holds[where] = within if scope.include else ~within
    return holds


def _rule(rule: CustomRule, detector: DetectorSettings, at: str) -> _Rule:
    if not rule.scope and not rule.conditions:
        msg = f"{at} must have a scope or a condition, got neither"
        raise ConfigurationError(msg)
    for action in rule.actions:
        _check(action, _ACTIONS, f"{at}.actions")
    for place, each in enumerate(rule.conditions):
        where = f"{at}.conditions[{place}]"
        _check(each.applies_to, tuple(_VALUES), f"{where}.applies_to")
        _check(each.operator, tuple(_OPERATORS), f"{where}.operator")
    fields = {getattr(detector, f"{kind}_field_name"): kind for kind in reversed(_KINDS)}
    fields.pop(None, None)
    scopes = []
    for place, scope in enumerate(rule.scope):
        # In the order in which the names are declared, not in that of the kinds turned round.
        _check(scope.field, tuple(reversed(fields)), f"{at}.scope[{place}].field")
        values = pa.array(scope.values, pa.string())
        scopes.append(_Scope(fields[scope.field], values, scope.include))
    told = ("skip_result" in rule.actions, "skip_model_update" in rule.actions)
    return _Rule(*told, tuple(scopes), rule.conditions)


def _check(value: str, allowed: tuple[str, ...], where: str) -> None:
    if value not in allowed:
        choice = f"one of {', '.join(allowed)}" if allowed else "left out, as there is no split"
        msg = f"{where} must be {choice}, got {value}"
        raise ConfigurationError(msg)
