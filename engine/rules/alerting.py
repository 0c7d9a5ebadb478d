"""Alerts as rows: everything that is needed to act on one, and to compute it again."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.rules.definition import alert_id
from engine.rules.panel import Panel
from engine.rules.states import NONE, SECOND_US, Alerts
from engine.rules.words import message

__all__ = ["Lines", "alert_rows"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a block: the first one's number, and the watermark after each, µs."""

    first_seq: int
    arrival_us: Ints


def alert_rows(
    panel: Panel, alerts: Alerts, lines: Lines | None, next_seq: int
) -> list[dict[str, object]]:
    """Give the rows of `alerts_log` for the alerts of a panel.

    Parameters
    ----------
    lines : Lines or None
        The block whose lines moved the watermark; None: time alone did.
    next_seq : int
        The number of the next line.
    """
    track, rows = panel.track, []
    for place, who in enumerate(alerts.watcher):
        watcher = panel.watchers[who]
        rule, time_s = watcher.rule.rule, alerts.time_s[place]
        raw, threshold = alerts.value[place], alerts.threshold[place]
        value = None if np.isnan(raw) else raw
        samples, suppressed = alerts.samples[place], alerts.suppressed_s[place]
        window = time_s - track.lookback_s, time_s
        told = (value, samples, threshold)
        rows.append(
            {
                "alert_id": str(
                    alert_id(rule.rule_id, watcher.rule.version, watcher.group, time_s)
                ),
                "rule_id": str(rule.rule_id),
                "rule_version": watcher.rule.version,
                "model_id": rule.model_id,
                "metric_id": str(rule.metric.metric_id),
                "rule_name": rule.name,
                "group_value": watcher.group,
                "severity": rule.settings.severity,
                "bound": rule.settings.bound,
                "threshold": threshold,
                "metric_value": value,
                "sample_count": samples,
                "window_start": window[0] * SECOND_US,
                "window_end": time_s * SECOND_US,
                "triggered_time": time_s * SECOND_US,
                "from_position": track.first_seq(watcher.series, time_s) if samples else None,
                "to_position": _last_before(time_s, lines, next_seq),
                "suppressed_since": None if suppressed == NONE else suppressed * SECOND_US,
                "status": "new",
                "message": message(rule, watcher.group, window, told),
            }
        )
    return rows


def _last_before(time_s: int, lines: Lines | None, next_seq: int) -> int:
    """Give the number of the last line before the one that passed a boundary."""
    if lines is None:
        return next_seq - 1
    passing = int(np.searchsorted(lines.arrival_us, time_s * SECOND_US, side="left"))
    return lines.first_seq + passing - 1
