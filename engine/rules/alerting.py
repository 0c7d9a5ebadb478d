"""Alerts as rows: everything that is needed to act on one, and to compute it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.metrics import METRIC_NAMESPACE
from engine.rules.panel import Panel, Versioned
from engine.rules.states import NONE, SECOND_US, Alerts
from engine.rules.words import messages

__all__ = ["Lines", "Named", "alert_ids", "alert_rows", "last_lines"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a block: the first one's number, and the watermark after each, µs."""

    first_seq: int
    arrival_us: Ints


class Named(Protocol):
    """What alerts are named by."""

    @property
    def rule(self) -> Versioned:
        """The rule."""
        ...

    @property
    def group(self) -> str | None:
        """The group that gave them, if the rule has any."""
        ...


def alert_rows(panel: Panel, alerts: Alerts, lines: Lines | None, next_seq: int) -> pa.Table:
    """Give the rows of `alerts_log` for the alerts, some, of a panel, without their `batch_id`.

    Parameters
    ----------
    lines : Lines or None
        The block whose lines moved the watermark; None: time alone did.
    next_seq : int
        The number of the next line.
    """
    track = panel.track
    who, place = np.unique(np.concatenate(alerts.watcher), return_inverse=True)
    watchers = [panel.watchers[number] for number in who.tolist()]
    time_s, value = np.concatenate(alerts.time_s), np.concatenate(alerts.value)
    samples, threshold = np.concatenate(alerts.samples), np.concatenate(alerts.threshold)
    window = time_s - track.lookback_s, time_s
    rules = [each.rule.rule for each in watchers]
    spoken = messages(
        [(each.rule.rule, each.group) for each in watchers],
        place,
        window,
        (value, samples, threshold),
    )
    taken = pa.array(place, pa.int64())
    columns = {
        "alert_id": pa.array(alert_ids(watchers, place, time_s), pa.string()),
        "rule_id": _each([str(rule.rule_id) for rule in rules], taken),
        "rule_version": pa.array([each.rule.version for each in watchers], pa.int32()).take(taken),
        "model_id": _each([rule.model_id for rule in rules], taken),
        "metric_id": _each([str(rule.metric.metric_id) for rule in rules], taken),
        "rule_name": _each([rule.name for rule in rules], taken),
        "group_value": _each([each.group for each in watchers], taken),
        "severity": _each([rule.settings.severity for rule in rules], taken),
        "bound": _each([rule.settings.bound for rule in rules], taken),
        "threshold": pa.array(threshold),
        "metric_value": pa.array(value, mask=np.isnan(value)),
        "sample_count": pa.array(samples),
        "window_start": _stamps(window[0]),
        "window_end": _stamps(time_s),
        "triggered_time": _stamps(time_s),
        "from_position": pa.nulls(len(time_s), pa.int64()),  # `engine.rules.marks` knows it
        "to_position": pa.array(last_lines(time_s, lines, next_seq)),
        "suppressed_since": _stamps(np.concatenate(alerts.suppressed_s)),
        "status": pa.repeat(pa.scalar("new", pa.string()), len(time_s)),
        "message": pa.array(spoken, pa.string()),
    }
    return pa.table(columns)


def alert_ids(watchers: Sequence[Named], place: Ints, time_s: Ints) -> list[str]:
    """Give the id of each alert, as text: the same for ever.

    It is the UUID, version 3, of rule, version, boundary and group. `uuid.uuid3` takes five times
    as long.

    Parameters
    ----------
    watchers : sequence of Named
    place, time_s : int64, shape (n,)
        Which of them gave the alert, and at which boundary; or at which step of a step metric.
    """
    begun = []
    for each in watchers:
        told = f"alert\0{each.rule.rule.rule_id}\0{each.rule.version}\0"
        hashed = md5(METRIC_NAMESPACE.bytes + told.encode(), usedforsecurity=False)
        begun.append((hashed, b"" if each.group is None else b"\0" + each.group.encode()))
    found = []
    for number, time in zip(place.tolist(), time_s.tolist(), strict=True):
        start, end = begun[number]
        hashed = start.copy()
        hashed.update(str(time).encode() + end)
        text = hashed.hexdigest()
        variant = "89ab"[int(text[16], 16) & 3]
        found.append(f"{text[:8]}-{text[8:12]}-3{text[13:16]}-{variant}{text[17:20]}-{text[20:]}")
    return found


def _each(values: Sequence[str | None], taken: "pa.Array[Any]") -> "pa.Array[Any]":
    found: pa.Array[Any] = pa.array(values, pa.string()).take(taken)
    return found


def _stamps(seconds: Ints) -> "pa.Array[Any]":
    none = seconds == NONE
    stamps: pa.Array[Any] = pa.array(np.where(none, 0, seconds) * SECOND_US, mask=none)
    return stamps.cast(pa.timestamp("us"))


def last_lines(time_s: Ints, lines: Lines | None, next_seq: int) -> Ints:
    """Give the number of the last line before the one that passed a boundary."""
    if lines is None:
        return np.full(len(time_s), next_seq - 1)
    passing = np.searchsorted(lines.arrival_us, time_s * SECOND_US, side="left")
    return lines.first_seq + passing - 1
