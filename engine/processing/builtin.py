"""The catalogues of processing: job types, ingests and errors, by hour of their end.

Names and order of the columns are those of Scale's own server, by which clients ask.

Source: contracts.md SCi-01; wire.md, Scale.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from engine.panes import text
from engine.processing.catalogue import Catalogue, Column, Filter, Group
from engine.processing.catalogue_offer import Offer
from engine.processing.processing_tables import INGEST_AMOUNTS, RUN_TIMES
from engine.processing.series_source import Recipe, Source

__all__ = ["BUILTIN", "CHOICE_FLAGS", "CHOICE_TEXTS"]

_WORDS = {"sum": "Total", "min": "Least", "max": "Greatest", "avg": "Mean"}
_AMOUNTS = {
    "queue_time": ("Queue Time", "time that runs waited in the queue", "seconds"),
    "pre_time": ("Pre Time", "time spent on preparing runs", "seconds"),
    "job_time": ("Job Time", "time spent on the jobs themselves", "seconds"),
    "post_time": ("Post Time", "time spent on what follows a job", "seconds"),
    "run_time": ("Run Time", "time spent on preparation, job and what follows it", "seconds"),
    "stage_time": ("Stage Time", "time spent on staging data", "seconds"),
    "file_size": ("File Size", "size of the files", "bytes"),
    "transfer_time": ("Transfer Time", "time spent on transferring files", "seconds"),
    "ingest_time": ("Ingest Time", "time spent on ingesting files", "seconds"),
}


def _count(name: str, group: str, description: str) -> Column:
    title = f"{name} count".replace("_", " ").title()
    return Column(f"{name}_count", title, description, "count", group, "sum")


def _amount(name: str) -> list[Column]:
    title, what, units = _AMOUNTS[name]
    return [
        Column(f"{name}_{kind}", f"{title} ({kind.title()})", f"{word} {what}.", units, name, kind)
        for kind, word in _WORDS.items()
    ]


def _amount_groups(names: Sequence[str]) -> list[Group]:
    return [Group(name, _AMOUNTS[name][0], f"{_AMOUNTS[name][1].capitalize()}.") for name in names]


_RUN_COUNTS = [
    _count("completed", "overview", "Runs that were completed."),
    _count("failed", "overview", "Runs that failed."),
    _count("canceled", "overview", "Runs that were canceled."),
    _count("total", "overview", "All runs, whatever became of them."),
    _count("error_system", "errors", "Runs with an error of the system."),
    _count("error_data", "errors", "Runs with an error in their data."),
    _count("error_algorithm", "errors", "Runs with an error of the algorithm."),
]
_INGEST_COUNTS = [
    _count("deferred", "overview", "Files that were put off."),
    _count("ingested", "overview", "Files that were ingested."),
    _count("errored", "overview", "Files that could not be ingested."),
    _count("duplicate", "overview", "Files that had been ingested before."),
    _count("total", "overview", "All files, whatever became of them."),
]
_OVERVIEW = Group("overview", "Overview", "Counts by status.")
_NAME, _VERSION = Filter("name"), Filter("version")


def _recipe(column: Column) -> Recipe:
    stem, _, kind = column.name.rpartition("_")
    return Recipe(kind, stem)


def _offer(
    catalogue: Catalogue, table: str, fields: tuple[str, ...], defaults: dict[str, object]
) -> Offer:
    choices = (
        f"SELECT DISTINCT choice_id, {', '.join(fields)} FROM processing_choices"
        f" WHERE catalogue = {text(catalogue.name)} AND choice_id IN"
        f" (SELECT choice_id FROM {table} GROUP BY choice_id HAVING sum(total) <> 0)"
    )
    recipes = {column.name: _recipe(column) for column in catalogue.columns}
    source = Source(f"SELECT * FROM {table}", "total", recipes, choices, fields)
    return Offer(catalogue, source, MappingProxyType(defaults), titled=("name",))


_JOB_TYPES = Catalogue(
    "job-types",
    "Job Types",
    "Counts and times of runs by job type.",
    (_NAME, _VERSION),
    (
        _OVERVIEW,
        Group("errors", "Errors", "Counts by category of error."),
        *_amount_groups(RUN_TIMES),
    ),
    (*_RUN_COUNTS, *(column for name in RUN_TIMES for column in _amount(name))),
)
_INGESTS = Catalogue(
    "ingests",
    "Ingests",
    "Counts, sizes and times of ingested files by strike.",
    (_NAME,),
    (_OVERVIEW, *_amount_groups(INGEST_AMOUNTS)),
    (*_INGEST_COUNTS, *(column for name in INGEST_AMOUNTS for column in _amount(name))),
)
_ERRORS = Catalogue(
    "errors",
    "Errors",
    "Counts of runs by category of error.",
    (_NAME,),
    (_OVERVIEW,),
    (_count("total", "overview", "Runs with this error."),),
)

CHOICE_TEXTS: Final = {
    "job-types": ("title", "description", "category", "author_name", "author_url", "icon_code"),
    "ingests": ("title", "description"),
    "errors": ("title", "description", "category"),
}
"""What may be declared of a choice in words, by catalogue."""

CHOICE_FLAGS: Final = {
    "job-types": ("is_system", "is_long_running", "is_active", "is_operational", "is_paused"),
    "ingests": ("is_active",),
    "errors": (),
}
"""What may be declared of a choice as true or false, by catalogue."""

# Behind id, name, version and title, in the order in which the contract shows them (SC-15).
_JOB_TYPE: dict[str, object] = {
    **dict.fromkeys(("description", "category", "author_name", "author_url")),
    "is_system": False,
    "is_long_running": False,
    "is_active": True,
    "is_operational": True,
    "is_paused": False,
    "icon_code": None,
}
_STRIKE: dict[str, object] = {"description": None, "is_active": True}
_ERROR: dict[str, object] = {"description": None, "category": None}

BUILTIN: Final = {
    offer.catalogue.name: offer
    for offer in (
        _offer(_JOB_TYPES, "run_hours", ("name", "version"), _JOB_TYPE),
        _offer(_INGESTS, "ingest_hours", ("name",), _STRIKE),
        _offer(_ERRORS, "error_hours", ("name",), _ERROR),
    )
}
"""By name, in their order."""
