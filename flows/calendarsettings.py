"""The `calendars` and `filters` sections of the configuration, which anomaly jobs go by.

Source: contracts.md ELi-17 and ELi-18.
"""

from collections.abc import Collection
from decimal import Decimal

import yaml

from engine.config import CalendarEvent, CalendarSettings
from engine.instants import iso_us, milliseconds_us
from flows.yamlnodes import Faults, Node, quoted, scalar, shown
from flows.yamlreaders import (
    Reader,
    all_required,
    class_text,
    each,
    identifier,
    listed,
    mapping,
    nearest,
    path,
    several,
    value_at,
)

__all__ = ["calendars", "filters"]

_ITEMS_MAX = 10_000
_ALWAYS = "within scheduled events scores are 0 and nothing is learned"
_REFUSED_OF_EVENTS = {
    "force_time_shift": "the time of a series is that of its events, and is never shifted",
    "skip_result": _ALWAYS,
    "skip_model_update": _ALWAYS,
}


# ---- calendars -------------------------------------------------------------------------------


def calendars(
    faults: Faults, node: Node, key: str, job_ids: Collection[str]
) -> tuple[CalendarSettings, ...]:
    """Read the section.

    Parameters
    ----------
    job_ids : collection of str
        Those that `anomaly_jobs` declares, also with faults.
    """

    def read(faults: Faults, node: Node, key: str) -> CalendarSettings | None:
        return _calendar(faults, node, key, job_ids)

    found: tuple[CalendarSettings, ...] = listed(
        read, lambda calendar: str(calendar.calendar_id), "calendar_id"
    )(faults, node, key)
    return found


def _calendar(
    faults: Faults, node: Node, key: str, job_ids: Collection[str]
) -> CalendarSettings | None:
    def job_id(faults: Faults, node: Node, key: str) -> str | None:
        written = identifier(faults, node, key)
        if written is not None and written not in job_ids:
            hint = nearest(written, job_ids)
            faults.say(node, f"{key} must be one of `anomaly_jobs`, got {shown(node)}{hint}")
        return written

    fields: dict[str, Reader] = {
        "calendar_id": identifier,
        "job_ids": several(job_id, "a list of one job or more, or left out for all jobs", 1),
        "description": path,  # as long as a path may be
        "events": _events,
    }
    found = mapping(faults, node, key, fields)
    if not all_required(faults, node, key, ("calendar_id", "events"), found):
        return None
    return CalendarSettings(**found)


def _events(faults: Faults, node: Node, key: str) -> tuple[CalendarEvent, ...] | None:
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        faults.must(node, key, "a list of one event or more")
        return None
    return tuple(event for _, _, event in each(faults, node, key, _event))


def _event(faults: Faults, node: Node, key: str) -> CalendarEvent | None:
    fields: dict[str, Reader] = {"description": path, "start_time": _instant, "end_time": _instant}
    found = mapping(faults, node, key, fields, refused=_REFUSED_OF_EVENTS)
    if not all_required(faults, node, key, fields, found):
        return None
    start_us, end_us = found["start_time"], found["end_time"]
    if start_us >= end_us:
        rule = f"after start_time={shown(value_at(node, 'start_time'))}"
        faults.must(value_at(node, "end_time"), f"{key}.end_time", rule)
        return None
    return CalendarEvent(found["description"], start_us, end_us)


def _instant(faults: Faults, node: Node, key: str) -> int | None:
    """Read a time as events have them, in microseconds since the epoch."""
    value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    us = None
    if isinstance(value, Decimal) and abs(value) < 10**18:
        us = milliseconds_us(int(value) if value == int(value) else float(value))
    elif isinstance(value, str):
        us = iso_us(value)
    if us is None:
        rule = "ISO 8601 such as 2026-11-21T10:00:00Z, or epoch milliseconds, years 1 to 9999"
        faults.must(node, key, rule)
    return us


# ---- filters ---------------------------------------------------------------------------------


def filters(faults: Faults, node: Node, key: str) -> dict[str, tuple[str, ...]]:
    """Read the section: items by the id of their filter."""
    found: dict[str, tuple[str, ...]] = {}
    for place, entry, (filter_id, items) in each(faults, node, key, _filter):
        if filter_id in found:
            rule = f"there once, got {quoted(filter_id)} again"
            faults.say(value_at(entry, "filter_id"), f"{place}.filter_id must be {rule}")
        found[filter_id] = items
    return found


def _filter(faults: Faults, node: Node, key: str) -> tuple[str, tuple[str, ...]] | None:
    fields: dict[str, Reader] = {
        "filter_id": identifier,
        "description": path,  # as long as a path may be
        "items": _items,
    }
    found = mapping(faults, node, key, fields)
    if not all_required(faults, node, key, ("filter_id", "items"), found):
        return None
    return found["filter_id"], found["items"]


def _items(faults: Faults, node: Node, key: str) -> tuple[str, ...] | None:
    if isinstance(node, yaml.SequenceNode) and len(node.value) > _ITEMS_MAX:
        faults.must(node, key, f"a list of at most {_ITEMS_MAX} items")
        return None
    read = several(_item, "a list of one item or more", 1)
    found: tuple[str, ...] | None = read(faults, node, key)
    return found


def _item(faults: Faults, node: Node, key: str) -> str | None:
    value = class_text(faults, node, key)
    if value is not None and (value.startswith("*") or value.endswith("*")):
        faults.must(node, key, "a value as it is: there are no wildcards, and * stands for itself")
        return None
    return value
