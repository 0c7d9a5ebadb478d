"""Answers about steps and plots as tables for the eye: one row a value, an hour, or a catalogue."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

__all__ = [
    "catalogues_table",
    "choices_table",
    "columns_table",
    "page_note",
    "plot_table",
    "steps_table",
]

_DEFAULTS = ("id", "name", "title", "icon_code")  # of a choice, told by others or by nobody


def steps_table(answer: Any) -> pa.Table:
    """Give latest values by name, the history of a metric by step, or jobs with their values."""
    if isinstance(answer, list):
        return pa.table(
            {"name": _texts(answer, "name"), "value": [float(each["value"]) for each in answer]}
        )
    entries = answer["data"]
    if "metrics" not in entries[0]:
        return pa.table(
            {
                "step": pa.array([each["step"] for each in entries], pa.int64()),
                "value": [float(each["value"]) for each in entries],
                "timestamp": _texts(entries, "timestamp"),
            }
        )
    rows = [(str(job["id"]), metric) for job in entries for metric in job["metrics"]]
    return pa.table(
        {
            "job": pa.array([job for job, _ in rows], pa.string()),
            "name": pa.array([metric["name"] for _, metric in rows], pa.string()),
            "value": pa.array([float(metric["value"]) for _, metric in rows], pa.float64()),
        }
    )


def page_note(answer: Any) -> str | None:
    """Say how to go on when an answer is a page, and not the last one."""
    if not isinstance(answer, dict) or answer.get("isComplete", True):
        return None
    shown, total = len(answer["data"]), answer["totalNumResults"]
    return f"note: {shown:,} of {total:,}; go on with --index {answer['index'] + 1}"


def catalogues_table(answer: Mapping[str, Any]) -> pa.Table:
    """List catalogues."""
    found = answer["results"]
    return pa.table(
        {
            "name": _texts(found, "name"),
            "title": _texts(found, "title"),
            "columns": pa.array([len(each["columns"]) for each in found], pa.int64()),
            "filters": pa.array(
                [", ".join(one["param"] for one in each["filters"]) for each in found], pa.string()
            ),
            "description": _texts(found, "description"),
        }
    )


def columns_table(answer: Mapping[str, Any]) -> pa.Table:
    """List the columns of a catalogue."""
    names = ("name", "group", "units", "aggregate", "description")
    renamed = {"name": "column"}
    return pa.table({renamed.get(name, name): _texts(answer["columns"], name) for name in names})


def choices_table(answer: Mapping[str, Any]) -> pa.Table:
    """List the choices of a catalogue: the id and the fields that they can be narrowed by."""
    fields = [one["param"] for one in answer["filters"]]
    found = answer["choices"]
    return pa.table(
        {
            "choice": pa.array([each["id"] for each in found], pa.int64()),
            "title": _texts(found, "title"),
            **{
                name: pa.array([_word(each.get(name)) for each in found], pa.string())
                for name in fields
                if name not in _DEFAULTS
            },
        }
    )


def plot_table(answer: Mapping[str, Any], choices: Mapping[int, str]) -> pa.Table:
    """Give one row an hour, or an hour and choice, and one column a series; NULL: no value."""
    keys: dict[tuple[str, int | None], int] = {}
    series = answer["results"]
    for each in series:
        for point in each["values"]:
            keys[point["datetime"], point.get("id")] = 0
    order = sorted(keys, key=lambda key: (key[0], key[1] or 0))
    place = {key: number for number, key in enumerate(order)}
    columns: dict[str, Any] = {"time": pa.array([time for time, _ in order], pa.string())}
    if choices:
        columns["choice"] = pa.array([choices.get(one or 0, str(one)) for _, one in order])
    for each in series:
        values: list[Any] = [None] * len(order)
        for point in each["values"]:
            values[place[point["datetime"], point.get("id")]] = point["value"]
        whole = all(value is None or isinstance(value, int) for value in values)
        columns[each["column"]["name"]] = pa.array(values, pa.int64() if whole else pa.float64())
    return pa.table(columns)


def _texts(entries: Any, name: str) -> "pa.Array[Any]":
    return pa.array([each[name] for each in entries], pa.string())


def _word(value: Any) -> str | None:
    return None if value is None else str(value)
