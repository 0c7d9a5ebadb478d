"""The message of an alert: what happened, in words that a person can act on."""

from datetime import UTC, datetime

from engine.rules.definition import Rule

__all__ = ["message"]


def message(
    rule: Rule,
    group: str | None,
    window: tuple[int, int],
    told: tuple[float | None, int, float],
) -> str:
    """Say what a rule saw in a window (start and end, seconds since the epoch).

    `told` is the value, the number of samples and the threshold that held: a dynamic one depends
    on the window.
    """
    value, samples, threshold = told
    of = f" for {rule.settings.group_by} {group}" if group is not None else ""
    span = f"from {_time(window[0])} to {_time(window[1])} UTC"
    counted = f"{samples:,} labelled event" if rule.time_basis == "label" else f"{samples:,} event"
    counted += "" if samples == 1 else "s"
    if value is None:
        found = f"has no value {span} ({counted})"
        return f"{rule.name}: {rule.metric.name} of model {rule.model_id}{of} {found}"
    side = "above" if rule.settings.bound == "upper" else "below"
    kind = "dynamic threshold" if rule.settings.threshold is None else "threshold"
    return (
        f"{rule.name}: {rule.metric.name} of model {rule.model_id}{of} was {value:.6g} {span}"
        f" ({counted}), {side} its {kind} {threshold:.6g}"
    )


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
