"""Experiments: made, listed, read. `index` of the list counts entries."""

import re
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.auth import Editor, Viewer
from connectors.rest.dioptra.answers import EXPERIMENT, experiment_json
from connectors.rest.dioptra.bodies import Fields, fields_of
from connectors.rest.dioptra.metrics import ExperimentId
from connectors.rest.dioptra.pages import (
    Descending,
    Index,
    Length,
    Search,
    entries,
    linked,
    page_schema,
)
from connectors.rest.dioptra.shared import answered, body_of, described, dioptra_router
from connectors.rest.services import services_of
from engine.commands.experiments import NewExperiment, make_experiment
from engine.errors import ForbiddenError, NotFoundError, QueryError
from engine.steps.experiment_list import (
    EXPERIMENT_SORTABLE,
    ExperimentQuestion,
    known_experiments,
)
from engine.values import shown

__all__ = ["experiments_router"]

experiments_router = dioptra_router()

_NAME = re.compile(r"(?! +\Z)[A-Za-z0-9_. -]{1,256}", re.ASCII)  # as the published server has it
_NEW: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "group": {"type": "integer", "minimum": 1, "default": 1},
        "name": {"type": "string", "maxLength": 256, "pattern": "^(?! +$)[A-Za-z0-9_. -]+$"},
        "description": {"type": ["string", "null"]},
        "entrypoints": {"type": "array", "items": {"type": "integer", "minimum": 1}},
    },
}
Sort = Annotated[
    str,
    Query(
        alias="sortBy",
        description="By id when absent or empty.",
        json_schema_extra={"enum": ["", *EXPERIMENT_SORTABLE]},
    ),
]
Group = Annotated[int | None, Query(alias="groupId", ge=1, le=2**53)]
Deleted = Annotated[
    bool,
    Query(alias="showDeleted", description="Nothing is ever deleted: both give the same."),
]


@experiments_router.post("/experiments/", include_in_schema=False)
@experiments_router.post(
    "/experiments", responses=described(EXPERIMENT, 409), openapi_extra=body_of(_NEW)
)
async def dioptra_create_experiment(request: Request, caller: Editor) -> Response:
    """Make an experiment; group and entry points are kept as the ids they are."""
    made = _new(await fields_of(request, tuple(_NEW["properties"])))
    if caller.jobs is not None:
        msg = "the user must be one who sees all jobs"
        raise ForbiddenError(msg)
    services = services_of(request)
    experiment_id = await services.write(
        caller.username, lambda writing: make_experiment(writing, made)
    )
    return answered(await services.read(lambda asking: _one(asking, str(experiment_id), None)))


@experiments_router.get("/experiments/", include_in_schema=False)
@experiments_router.get("/experiments", responses=described(page_schema(EXPERIMENT)))
async def dioptra_list_experiments(
    request: Request,
    caller: Viewer,
    *,
    index: Index = 0,
    page_length: Length = 10,
    sort_by: Sort = "",
    descending: Descending = False,
    search: Search = "",
    group_id: Group = None,
    show_deleted: Deleted = False,
) -> Response:
    """List the experiments that were made, and those that events name."""
    question = ExperimentQuestion(
        group=group_id,
        start=index,
        length=page_length,
        sort_by=sort_by or None,
        descending=descending,
        search=search,
        seen=caller.jobs,
    )
    more = {
        "sortBy": sort_by,
        "descending": descending,
        "search": search,
        "groupId": group_id,
        "showDeleted": show_deleted,
    }
    link = linked("/experiments", page_length, more)

    def asked(asking: Asking) -> dict[str, object]:
        total, found = known_experiments(asking.cursor, question)
        return entries(index, page_length, total, link, [experiment_json(one) for one in found])

    return answered(await services_of(request).read(asked))


@experiments_router.get("/experiments/{experiment_id}", responses=described(EXPERIMENT, 404))
async def dioptra_get_experiment(
    request: Request, experiment_id: ExperimentId, caller: Viewer
) -> Response:
    """Give an experiment."""
    return answered(
        await services_of(request).read(lambda asking: _one(asking, experiment_id, caller.jobs))
    )


def _one(asking: Asking, experiment_id: str, seen: frozenset[str] | None) -> dict[str, object]:
    question = ExperimentQuestion(experiment=experiment_id, seen=seen)
    _, found = known_experiments(asking.cursor, question)
    if not found:
        msg = f"there is no experiment {experiment_id[:80]}"
        raise NotFoundError(msg)
    return experiment_json(found[0])


def _new(fields: Fields) -> NewExperiment:
    name = fields.read("name", _name, "", needed=True)
    told = {
        "group": fields.whole("group") or 1,
        "description": fields.text("description"),
        "entrypoints": fields.wholes("entrypoints"),
    }
    fields.check()
    return NewExperiment(name, told)


def _name(value: object) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        rule = "1 to 256 letters, digits, blanks and `_ . -`, and not blanks alone"
        msg = f"`name` must be {rule}, got {shown(value)}"
        raise QueryError(msg)
    return value
