"""What the commands `bellwether metrics …` do: ask the three contracts' questions, and show them.

All of them only read, as `bellwether sql` does: the running owner is asked, or the file where none
runs. `--format json` is the contract's answer as it is; the other forms are for the eye.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from connectors.sqlclient import call, query
from connectors.sqlwire import TIME_LIMIT_MAX_S, TIME_LIMIT_S
from engine.errors import ConfigurationError, NotFoundError, StoreError
from engine.jobs.deployments import MODEL_JOBS
from flows.anomalyjobs import utf8
from flows.jobtext import job_text
from flows.lettering import shown
from flows.metricscalls import job_arguments, plot_arguments, steps_arguments
from flows.metricstables import (
    catalogues_table,
    choices_table,
    columns_table,
    page_note,
    plot_table,
    steps_table,
)
from flows.pictures import form_of, needs_matplotlib, write_picture
from flows.render import write
from flows.signals import signal_kills

__all__ = ["COMMANDS"]

_PLOT_LIMIT_S = 120.0
_LISTED = 20
_JOBS = (
    f"SELECT job_id FROM decision_panes UNION SELECT job_id FROM ({MODEL_JOBS})"  # noqa: S608 - ours
    f" ORDER BY job_id NULLS LAST LIMIT {_LISTED + 1}"
)


# ---- jobs ------------------------------------------------------------------------------------


def _job(told: argparse.Namespace) -> int:
    arguments = job_arguments(told)
    limit_s = TIME_LIMIT_S
    if not told.job_only:
        longest_s = int(TIME_LIMIT_MAX_S - TIME_LIMIT_S)
        if not 0 <= told.timeout_s <= longest_s:
            msg = f"`--timeout-s` must be from 0 to {longest_s}, got {told.timeout_s}"
            raise ConfigurationError(msg)
        arguments["timeout_s"] = told.timeout_s
        limit_s += told.timeout_s
    try:
        answer = _ask(told, "job" if told.job_only else "job_and_latest_model", arguments, limit_s)
    except NotFoundError as error:
        raise NotFoundError(_no_job(told)) from error
    _say(told, answer, lambda found: [job_text(found)])
    return 0


def _no_job(told: argparse.Namespace) -> str:
    """Say which jobs there are, or that the job has no model to be told of."""
    jobs = [str(job) for job in query(told.data, _JOBS)["job_id"].drop_null().to_pylist()]
    if told.job in jobs and not told.job_only:
        return f"no model of job {shown(told.job)} is deployed: ask for the job alone by --job-only"
    listed = ", ".join(map(shown, jobs[:_LISTED])) + (", …" if len(jobs) > _LISTED else "")
    there = f"there are: {listed}" if jobs else "there is none"
    return f"`JOB` must be a job with events, got {shown(told.job)}; {there}"


# ---- steps -----------------------------------------------------------------------------------


def _steps(told: argparse.Namespace) -> int:
    name, arguments = steps_arguments(told)
    answer = _ask(told, name, arguments)
    if told.format == "table" and not (answer if isinstance(answer, list) else answer["data"]):
        page = 0 if isinstance(answer, list) else answer["totalNumResults"]
        raise NotFoundError(_no_steps(told, page))
    _say(told, answer, lambda found: [steps_table(found)])
    note = page_note(answer)
    if note is not None and told.format == "table":
        _note(note)
    return 0


def _no_steps(told: argparse.Namespace, total: int) -> str:
    if total:
        return f"`--index` must be a page with entries of {total:,}, got {told.index}"
    if told.experiment is not None:
        return f"`--experiment` must have jobs with metrics, got {shown(told.experiment)}: none"
    if told.name is not None:
        return f"`NAME` must be a step metric of job {shown(told.job)}, got {shown(told.name)}"
    return f"`JOB` must have step metrics, got {shown(told.job)}, which has none"


# ---- plots -----------------------------------------------------------------------------------


def _plot(told: argparse.Namespace) -> int:
    if told.list or told.catalogue is None:
        return _catalogues(told)
    if told.details:
        answer = _ask(told, "plot_details", {"name": utf8("CATALOGUE", told.catalogue)})
        _say(told, answer, lambda found: [columns_table(found), "\n", choices_table(found)])
        return 0
    if told.output is not None:
        return _draw(told, form_of(told.output))
    names, answer = _plotted(told)
    _say(told, answer, lambda found: [plot_table(found, names)])
    return 0


def _draw(told: argparse.Namespace, form: str) -> int:
    with needs_matplotlib("metrics plot --output"):
        from flows.metricsplot import draw_plot  # noqa: PLC0415 - loads matplotlib
    names, answer = _plotted(told)
    write_picture(told.output, draw_plot(told.catalogue, answer["results"], names, form))
    return 0


def _plotted(told: argparse.Namespace) -> tuple[dict[int, str], Any]:
    """Give the choices asked for, and the answer about them."""
    names = _chosen(told)
    return names, _ask(told, "plot_data", plot_arguments(told, list(names)), _PLOT_LIMIT_S)


def _catalogues(told: argparse.Namespace) -> int:
    if not told.list:
        msg = "`metrics plot` must be given a CATALOGUE; --list lists them"
        raise ConfigurationError(msg)
    pages = {"page": told.page, "page_size": told.page_size}
    answer = _ask(told, "plot_catalogues", pages)
    _say(told, answer, lambda found: [catalogues_table(found)])
    return 0


def _chosen(told: argparse.Namespace) -> dict[int, str]:
    """Give the choices that were named by id or by name: their names by their ids.

    Raises
    ------
    NotFoundError
        There is no such choice.
    """
    if not told.choices:
        return {}
    details = _ask(told, "plot_details", {"name": utf8("CATALOGUE", told.catalogue)})
    fields = [one["param"] for one in details["filters"]]
    known = {each["id"]: _choice_name(each, fields) for each in details["choices"]}
    found: dict[int, str] = {}
    for word in told.choices:
        matching = [int(word)] if word.isdecimal() and int(word) in known else []
        matching = matching or [
            each["id"]
            for each in details["choices"]
            if word in {each["name"], each["title"], known[each["id"]]}
        ]
        if not matching:
            msg = f"`--choice` must be id or name of a choice of {told.catalogue}, got {word}"
            raise NotFoundError(msg)
        found |= {one: known[one] for one in matching}
    return found


def _choice_name(choice: dict[str, Any], fields: list[str]) -> str:
    """Give all that tells a choice from others, such as name and version."""
    words = [str(choice[name]) for name in fields if choice.get(name) is not None]
    return ", ".join(words) or str(choice["title"])


# ---- asking and saying -----------------------------------------------------------------------


def _ask(
    told: argparse.Namespace,
    name: str,
    arguments: dict[str, Any],
    limit_s: float = TIME_LIMIT_S,
) -> Any:
    with signal_kills():
        return call(told.data, name, arguments, limit_s)


def _say(
    told: argparse.Namespace, answer: Any, readable: Callable[[Any], list[str | pa.Table]]
) -> None:
    """Write an answer to standard output, in the form asked for."""
    parts = [_json(answer)] if told.format == "json" else readable(answer)
    terminal = sys.stdout.isatty()
    width = (os.get_terminal_size(sys.stdout.fileno()).columns or 80) if terminal else None
    out = sys.stdout.buffer
    try:
        for part in parts:
            if isinstance(part, str):
                out.write(part.encode("utf-8", "backslashreplace"))
            else:
                write(part, told.format, out, terminal_width=width)
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"the answer cannot be written: {error.strerror}"
        raise StoreError(msg) from error


def _json(answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "job": _job,
    "steps": _steps,
    "plot": _plot,
}
"""By the word behind `bellwether metrics`; each gives the exit code."""
