"""The calls that an owner answers, and a reader of the file alike: the three contracts' questions.

`job_and_latest_model` and `job` (metrics of a job), `model` (of its active model), `step_latest`,
`step_snapshots` and `experiment_metrics`, `plot_catalogues`, `plot_details` and `plot_data`. Each
takes the arguments of its query function by their names, as JSON has them, and gives the answer of
its contract. What links to another page does so by the address that the REST face gives it.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import duckdb

from connectors.calls import Asking, Calls
from connectors.jobcalls import Latest, calls_about_jobs, latest_now, stored_rules
from engine.asking import first
from engine.errors import ConfigurationError, QueryError, StoreError
from engine.jobs.job_rules import JobRules
from engine.processing.catalogues import catalogues, details
from engine.processing.plot import PlotQuestion, plot_data
from engine.processing.plot_pages import PAGE_SIZE, Page
from engine.rows import SCHEMA_VERSION
from engine.steps.experiments import experiment_metrics
from engine.steps.step_queries import latest, snapshots

__all__ = ["calls_of", "calls_on_file", "check_schema"]

Rules = Callable[[duckdb.DuckDBPyConnection], JobRules]

_SCHEMA = "SELECT value FROM settings WHERE name = 'schema_version'"


def calls_of(rules: Rules, latest: Latest) -> Calls:
    """Give the table.

    Parameters
    ----------
    rules : callable
        Gives the rules that hold for jobs, with a cursor to look them up by.
    latest : Latest
        Gives the metrics of a job's active model.
    """
    return {
        **calls_about_jobs(rules, latest),
        "step_latest": _step_latest,
        "step_snapshots": _step_snapshots,
        "experiment_metrics": _experiment_metrics,
        "plot_catalogues": _plot_catalogues,
        "plot_details": _plot_details,
        "plot_data": _plot_data,
    }


def calls_on_file() -> Calls:
    """Give the table for a file that nobody owns: what is asked of a model is computed now."""
    return calls_of(stored_rules, latest_now(stored_rules, _now_us))


def _now_us() -> int:
    return time.time_ns() // 1000


# ---- steps -----------------------------------------------------------------------------------


def _step_latest(asking: Asking, arguments: Mapping[str, Any]) -> Any:
    given = _known(arguments, ("job_id",))
    return [metric.to_json() for metric in latest(asking.cursor, **given)]


def _step_snapshots(asking: Asking, arguments: Mapping[str, Any]) -> Any:
    given = _known(arguments, ("job_id", "name"), ("index", "page_length"))
    page = snapshots(asking.cursor, **given)
    path = f"/api/v1/jobs/{quote(str(given['job_id']), '')}/metrics/{quote(str(given['name']), '')}"
    return page.to_json(_steps_link(f"{path}/snapshots", page.page_length, {}))


def _experiment_metrics(asking: Asking, arguments: Mapping[str, Any]) -> Any:
    names = ("index", "page_length", "sort_by", "descending", "search")
    given = _known(arguments, ("experiment_id",), names)
    page = experiment_metrics(asking.cursor, **given)
    more = {
        "sortBy": given.get("sort_by"),
        "descending": given.get("descending"),
        "search": given.get("search"),
    }
    path = f"/api/v1/experiments/{quote(str(given['experiment_id']), '')}/metrics"
    return page.to_json(_steps_link(path, page.page_length, more))


def _steps_link(path: str, page_length: int, more: Mapping[str, Any]) -> Callable[[int], str]:
    kept = {name: value for name, value in more.items() if value is not None}
    return lambda index: f"{path}?{urlencode({'index': index, 'pageLength': page_length, **kept})}"


# ---- plots -----------------------------------------------------------------------------------


def _plot_catalogues(asking: Asking, arguments: Mapping[str, Any]) -> Any:
    given = _known(arguments, (), ("page", "page_size"))
    page, page_size = (_whole(given, name) for name in ("page", "page_size"))
    size = PAGE_SIZE if page_size is None else page_size
    found = catalogues(asking.cursor, 1 if page is None else page, size)
    return _enveloped(found.page, found.to_json(), "/v6/metrics/", [])


def _plot_details(asking: Asking, arguments: Mapping[str, Any]) -> Any:
    return details(asking.cursor, _text(_known(arguments, ("name",)), "name")).to_json()


def _plot_data(asking: Asking, arguments: Mapping[str, Any]) -> Any:
    lists = ("columns", "groups", "choice_ids")
    given = _known(arguments, ("catalogue",), (*lists, "started", "ended", "page", "page_size"))
    page, page_size = (_whole(given, name) for name in ("page", "page_size"))
    started, ended = (
        _text(given, name) if name in given else None for name in ("started", "ended")
    )
    question = PlotQuestion(
        catalogue=_text(given, "catalogue"),
        now_us=_now_us(),
        columns=tuple(_texts(given, "columns")),
        groups=tuple(_texts(given, "groups")),
        choice_ids=tuple(_wholes(given, "choice_ids")),
        started=started,
        ended=ended,
        page=1 if page is None else page,
        page_size=PAGE_SIZE if page_size is None else page_size,
    )
    found = plot_data(asking.cursor, question)
    more = [
        *(("column", each) for each in question.columns),
        *(("group", each) for each in question.groups),
        *(("choice_id", str(each)) for each in question.choice_ids),
        *((name, each) for name, each in (("started", started), ("ended", ended)) if each),
    ]
    path = f"/v6/metrics/{quote(question.catalogue, '')}/plot-data/"
    return _enveloped(found.page, found.to_json(), path, more)


def _enveloped(
    page: Page, answer: Mapping[str, Any], path: str, more: list[tuple[str, str]]
) -> dict[str, Any]:
    """Put a page into the envelope of SC-05."""

    def link(number: int | None) -> str | None:
        if number is None:
            return None
        return f"{path}?{urlencode([('page', number), ('page_size', page.size), *more])}"

    return {
        "count": answer["count"],
        "next": link(page.next),
        "previous": link(page.previous),
        "results": answer["results"],
    }


# ---- arguments -------------------------------------------------------------------------------


def _known(
    arguments: Mapping[str, Any], needed: tuple[str, ...], others: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Give the arguments that are not null, all of which must be known."""
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in given:
        if name not in needed + others:
            msg = f"`arguments` must be of {', '.join(needed + others)}, got {name}"
            raise QueryError(msg)
    for name in needed:
        if name not in given:
            msg = f"`{name}` is missing"
            raise QueryError(msg)
    return given


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given[name]
    if not isinstance(value, str):
        msg = f"`{name}` must be text, got {value!r}"
        raise QueryError(msg)
    return value


def _whole(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is not None and type(value) is not int:
        msg = f"`{name}` must be a whole number, got {value!r}"
        raise QueryError(msg)
    return value


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    values = given.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        msg = f"`{name}` must be a list of texts, got {values!r}"
        raise QueryError(msg)
    return values


def _wholes(given: Mapping[str, Any], name: str) -> list[int]:
    values = given.get(name, [])
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        msg = f"`{name}` must be a list of whole numbers, got {values!r}"
        raise QueryError(msg)
    return values


def check_schema(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """See that a file has the tables that the calls read.

    Raises
    ------
    ConfigurationError
        An older version wrote it last.
    StoreError
        A newer one did, or it is none of ours.
    """
    try:
        row = first(connection, _SCHEMA)
    except duckdb.Error as error:
        msg = f"{folder} must be written by Bellwether, got tables of something else"
        raise StoreError(msg) from error
    stored = "" if row is None else str(row[0])
    version = int(stored) if stored.isdecimal() else 0
    if version < SCHEMA_VERSION:
        msg = (
            f"`--data` must have schema version {SCHEMA_VERSION}, got {folder} with"
            f' "{stored}", which an older Bellwether wrote; `bellwether run` brings it up to date'
        )
        raise ConfigurationError(msg)
    if version > SCHEMA_VERSION:
        msg = (
            f"{folder} must have a schema version up to {SCHEMA_VERSION}, got {version}: it was"
            " written by a newer Bellwether"
        )
        raise StoreError(msg)
