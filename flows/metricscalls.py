"""The words of `bellwether metrics …` as arguments of calls: filters, times and pages.

A filter is a field, an operator and a value, in this order. The first operator that stands between
blanks ends the field, and of several that begin there it is the longest. A field with an operator
in its name is put into quotes, and is then a text of JSON, as a value in quotes is. Other values
are taken as they stand; behind `is one of` they are a list of JSON, or parted by commas. A filter
may also be an object of JSON, as the REST contract has it.
"""

import argparse
import json
import re
from typing import Any

from engine.errors import ConfigurationError
from flows.anomalyjobs import instant_us, utc, utf8

__all__ = ["filter_of", "job_arguments", "plot_arguments", "steps_arguments"]

# The longest first, where one begins another.
_OPERATORS = (
    *("is not one of", "is one of", "is not", "is", "not starts with", "starts with"),
    *("not contains", "contains", "not exists", "exists", "lte", "lt", "gte", "gt"),
)
_SEVERAL = ("is one of", "is not one of")
_FILTER = re.compile(
    r'\s*(?P<field>"(?:[^"\\]|\\.)*"|\S.*?)\s+(?P<operator>'
    + "|".join(each.replace(" ", r"\s+") for each in _OPERATORS)
    + r")(?:\s+(?P<value>.*))?",
    re.DOTALL,
)


def filter_of(word: str) -> dict[str, Any]:
    """Read a filter of the command line.

    Raises
    ------
    ConfigurationError
        No operator stands in it, or its JSON is broken.

    >>> filter_of("features.city is not New York")
    {'field': 'features.city', 'operator': 'is not', 'value': 'New York'}
    >>> filter_of('"what is it" is one of a, b')
    {'field': 'what is it', 'operator': 'is one of', 'value': ['a', 'b']}
    >>> filter_of("label exists")
    {'field': 'label', 'operator': 'exists'}
    """
    text = utf8("--filter", word).strip()
    if text.startswith("{"):
        found = _json(text, word)
        return dict(found)
    parts = _FILTER.fullmatch(text)
    if parts is None:
        msg = (
            "`--filter` must be FIELD OPERATOR VALUE with an operator of"
            f" {', '.join(sorted(_OPERATORS))}, got {word}"
        )
        raise ConfigurationError(msg)
    operator = " ".join(parts["operator"].split())
    told = {"field": str(_plain(parts["field"], word)), "operator": operator}
    value = (parts["value"] or "").strip()
    if not value:
        return told
    return told | {"value": _several(value, word) if operator in _SEVERAL else _plain(value, word)}


def _plain(text: str, word: str) -> Any:
    """Give a text of JSON without its quotes, and anything else as it stands."""
    return _json(text, word) if text.startswith('"') else text


def _several(text: str, word: str) -> list[Any]:
    if text.startswith("["):
        return list(_json(text, word))
    return [part.strip() for part in text.split(",")]


def _json(text: str, word: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        msg = f"`--filter` must have JSON where it begins with a quote or bracket, got {word}"
        raise ConfigurationError(msg) from error


def job_arguments(told: argparse.Namespace) -> dict[str, Any]:
    """Give the arguments of the calls about a job."""
    return _given(
        job_id=utf8("JOB", told.job),
        start_datetime=None if told.start is None else utc(instant_us("from", told.start)),
        end_datetime=None if told.end is None else utc(instant_us("to", told.end)),
        filters=[filter_of(word) for word in told.filters],
        top=told.top,
    )


def steps_arguments(told: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Give the call that the words about step metrics mean, and its arguments.

    Raises
    ------
    ConfigurationError
        They mean none, or words stand there that have no meaning for it.
    """
    page = {"--index": told.index, "--page-length": told.page_length}
    order = {"--sort-by": told.sort_by, "--search": told.search}
    order["--descending"] = told.descending or None
    if told.experiment is not None:
        _alone("--experiment", {"JOB": told.job})
        arguments = _given(
            experiment_id=utf8("--experiment", told.experiment),
            sort_by=told.sort_by,
            search=None if told.search is None else utf8("--search", told.search),
            descending=told.descending or None,
            **_page(told),
        )
        return "experiment_metrics", arguments
    if told.job is None:
        msg = "`metrics steps` must be given a JOB, or an experiment by --experiment"
        raise ConfigurationError(msg)
    job = utf8("JOB", told.job)
    if told.name is None:
        _alone("JOB without NAME", {**page, **order})
        return "step_latest", {"job_id": job}
    _alone("JOB NAME", order)
    return "step_snapshots", {"job_id": job, "name": utf8("NAME", told.name), **_page(told)}


def plot_arguments(told: argparse.Namespace, choice_ids: list[int]) -> dict[str, Any]:
    """Give the arguments of the call for plot data."""
    return _given(
        catalogue=utf8("CATALOGUE", told.catalogue),
        columns=[utf8("--column", word) for word in told.columns],
        groups=[utf8("--group", word) for word in told.groups],
        choice_ids=choice_ids,
        started=None if told.started is None else utf8("--started", told.started),
        ended=None if told.ended is None else utf8("--ended", told.ended),
        page=told.page,
        page_size=told.page_size,
    )


def _page(told: argparse.Namespace) -> dict[str, Any]:
    return _given(index=told.index, page_length=told.page_length)


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _alone(what: str, others: dict[str, Any]) -> None:
    for name, value in others.items():
        if value is not None:
            msg = f"`{name}` must not be given with {what}, got {value}"
            raise ConfigurationError(msg)
