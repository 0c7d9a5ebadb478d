"""Models and their attributes, as the clients want to know them before anything else."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.arthur.paging import Paging, page_schema, paged
from connectors.rest.arthur.shared import ModelId, arthur_router, at, json_response, model_or_404
from connectors.rest.arthur.users import ORGANIZATION_ID
from connectors.rest.auth import Viewer
from connectors.rest.services import services_of
from engine.listed.attributes import Attribute, attributes_of
from engine.listed.models import models_asked
from engine.listed.pages import Listed, Page

__all__ = ["ModelParameters", "ModelsParameters", "router"]

router = arthur_router()

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_ATTRIBUTE = {
    "type": "object",
    "required": ["name", "value_type", "stage", "position", "categorical"],
    "properties": {
        "name": _TEXT,
        "label": {**_TEXT, "description": "The name with what it is within."},
        "value_type": {"type": "string", "enum": ["FLOAT", "STRING", "BOOLEAN"]},
        "stage": {
            "type": "string",
            "enum": ["PIPELINE_INPUT", "NON_INPUT_DATA", "PREDICTED_VALUE", "GROUND_TRUTH"],
        },
        "position": {"type": "integer"},
        **{key: {"type": "boolean"} for key in ("categorical", "is_positive_predicted_attribute")},
        "categories": {"type": "array", "items": {"type": "object"}},
    },
}
_MODEL = {
    "type": "object",
    "required": [
        *("id", "partner_model_id", "display_name", "input_type", "output_type", "is_batch"),
        *("archived", "status", "classifier_threshold", "created_by"),
    ],
    "properties": {
        **dict.fromkeys(("id", "partner_model_id", "display_name", "organization_id"), _TEXT),
        **dict.fromkeys(("input_type", "output_type", "status"), _TEXT),
        **{key: {"type": "boolean"} for key in ("is_batch", "archived")},
        "classifier_threshold": {"type": "number"},
        "created_at": _TEXT_OR_NULL,
        "created_by": {"type": "object"},
        "tags": {"type": "array", "items": _TEXT},
        "attributes": {"type": "array", "items": _ATTRIBUTE},
    },
}


class ModelsParameters(Paging):
    """The parameters of the list of models.

    The typed client always sends the first two; nothing is archived here, and every model is one of
    its own, so they change nothing.
    """

    include_archived: bool = False
    latest_version_sequence_nums: bool = False
    expand: Literal["attributes", "organization_id"] | None = None


class ModelParameters(BaseModel):
    """The parameters of one model; here its two kinds of id are the same."""

    model_config = ConfigDict(extra="forbid")

    id_type: Literal["id", "partner_model_id"] = "id"
    expand: list[Literal["attributes", "organization_id"]] = Field([])


@at(router, "GET", "/models", page_schema(_MODEL), faults=())
async def arthur_models(
    request: Request, caller: Viewer, told: Annotated[ModelsParameters, Query()]
) -> Response:
    """List the models that are known or declared."""
    services = services_of(request)
    declared = {model.id: model for model in services.gate.configured.settings.models}
    visible = None if caller.models is None else sorted(caller.models)
    wide = told.expand == "attributes"

    def read(asking: Asking) -> Listed:
        found = models_asked(asking.cursor, declared, told.asked, visible)
        return _widened(asking, found) if wide else found

    return json_response(paged(await services.read(read), _told))


@at(router, "GET", "/models/{model_id}", _MODEL)
async def arthur_model(
    request: Request,
    model_id: ModelId,
    caller: Viewer,
    told: Annotated[ModelParameters, Query()],
) -> Response:
    """Look up one model, `expand=attributes` with its attributes."""
    services = services_of(request)
    settings = services.gate.configured.settings

    def read(asking: Asking) -> Listed:
        model = model_or_404(asking, settings, caller, model_id)
        found = models_asked(asking.cursor, {model_id: model}, Page(1, 1), None, model_id)
        return _widened(asking, found) if "attributes" in told.expand else found

    found = await services.read(read)
    return json_response(_told(found.rows[0]))


# ---- answers ---------------------------------------------------------------------------------


def _widened(asking: Asking, found: Listed) -> Listed:
    rows = tuple(
        {**row, "attributes": attributes_of(asking.cursor, row["model_id"], row)}
        for row in found.rows
    )
    return Listed(rows, found.page, found.total)


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": row["model_id"],
        "partner_model_id": row["model_id"],
        "display_name": row["model_id"],
        "input_type": "TABULAR",
        "output_type": "REGRESSION" if row["is_number"] else "MULTICLASS",
        "is_batch": row["is_batch"],
        "archived": False,
        "status": "Ready",
        "classifier_threshold": row["threshold"],
        "created_at": row["first_event"],
        "created_by": {"id": str(ORGANIZATION_ID), "type": "arthur-managed"},
        "organization_id": str(ORGANIZATION_ID),
        "tags": [],
    }
    if "attributes" in row:
        told["attributes"] = [_attribute(each) for each in row["attributes"]]
    return told


def _attribute(told: Attribute) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": told.name,
        "label": told.property,
        "value_type": told.kind,
        "stage": told.stage,
        "position": told.position,
        "categorical": told.kind != "FLOAT",
        "is_positive_predicted_attribute": told.is_positive,
    }
    if told.categories:
        found["categories"] = [{"value": each, "label": each} for each in told.categories]
    return found
