"""The message of an alert: what happened, in words that a person can act on."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.rules.definition import Rule

__all__ = ["messages"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def messages(
    rules: Sequence[tuple[Rule, str | None]],
    place: Ints,
    window: tuple[Ints, Ints],
    told: tuple[Floats, Ints, Floats],
) -> list[str]:
    """Say what rules saw in their windows.

    Parameters
    ----------
    rules : sequence of (Rule, group or None)
    place : int64, shape (n,)
        Which of them gave each alert.
    window : tuple of int64, shape (n,)
        Start and end, seconds since the epoch.
    told : tuple of float64, int64 and float64, shape (n,)
        The value, NaN for none, the number of samples and the threshold that held: a dynamic one
        depends on the window.
    """
    heads = [_head(rule, group) for rule, group in rules]
    tails = [_tail(rule) for rule, _ in rules]
    nouns = ["labelled event" if rule.time_basis == "label" else "event" for rule, _ in rules]
    spans = zip(_times(window[0]), _times(window[1]), strict=True)
    found = []
    for number, (start, end), value, samples, threshold in zip(
        place.tolist(), spans, *(column.tolist() for column in told), strict=True
    ):
        span = f"from {start} to {end} UTC"
        counted = f"{samples:,} {nouns[number]}{'' if samples == 1 else 's'}"
        if math.isnan(value):
            found.append(f"{heads[number]} has no value {span} ({counted})")
        else:
            limit = f"{tails[number]} {threshold:.6g}"
            found.append(f"{heads[number]} was {value:.6g} {span} ({counted}), {limit}")
    return found


def _head(rule: Rule, group: str | None) -> str:
    of = f" for {rule.settings.group_by} {group}" if group is not None else ""
    return f"{rule.name}: {rule.metric.name} of model {rule.model_id}{of}"


def _tail(rule: Rule) -> str:
    side = "above" if rule.settings.bound == "upper" else "below"
    kind = "dynamic threshold" if rule.settings.threshold is None else "threshold"
    return f"{side} its {kind}"


def _times(seconds: Ints) -> list[str]:
    distinct, place = np.unique(seconds, return_inverse=True)
    texts = np.char.replace(np.datetime_as_string(distinct.astype("datetime64[s]")), "T", " ")
    return [str(text) for text in texts[place].tolist()]
