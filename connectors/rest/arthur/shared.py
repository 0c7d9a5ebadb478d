"""What the routes of this contract share: their paths, their answers, and how a model is found.

A route is written once, with the document's bare path, and is served under every prefix, with and
without a slash at its end, and with `/inference/` for `/inferences/`; the description has only one
of these spellings. A model's id may have slashes in it: `{model_id}` takes them, so `GET
/models/{model_id}` itself comes last of all.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from connectors.calls import Asking
from connectors.rest.auth import Caller
from connectors.rest.faults import Fault, contract_route
from engine.config import ModelSettings, Settings
from engine.errors import NotFoundError, QueryError

__all__ = [
    "BARE",
    "PREFIXES",
    "ModelId",
    "arthur_router",
    "assembled",
    "at",
    "body_of",
    "fault_responses",
    "is_typed",
    "json_body",
    "json_response",
    "model_or_404",
    "only",
    "render",
]

PREFIXES = ("/api/v3", "/api/v4", "")
"""All paths are served under each of them; the description has the first."""

BARE = ("/models", "/alerts", "/alert_notification_configurations", "/users/me")
"""What the document's paths begin with, where they have no prefix."""

ModelId = Annotated[str, Path(description="The id of a model.", min_length=1)]

_JSON = orjson.OPT_NON_STR_KEYS | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_Route = TypeVar("_Route", bound=Callable[..., Any])
_FAULT_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What is wrong, in one line."},
        "fields": {
            "type": "object",
            "description": "The same by field, where it is one field's.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
_FAULTS = {
    400: "The request breaks a rule",
    401: "No key, or one that is not known",
    403: "The user may not do that",
    404: "There is no such thing for this user",
    405: "There is no such method here",
    408: "The body came too slowly",
    409: "It does not fit what is there",
    413: "The body is too large",
    429: "Too much at once",
    503: "Too many bodies at once",
}


# ---- answers ---------------------------------------------------------------------------------


def json_response(value: Any, status: int = 200) -> Response:
    """Answer with a value as JSON; a number that is none is null, times are UTC and end with Z."""
    return Response(orjson.dumps(value, option=_JSON), status, media_type="application/json")


def render(_: Request, fault: Fault) -> Response:
    """Tell a fault: `{"error": message}`, with `fields` where it is known which are wrong."""
    told: dict[str, Any] = {"error": fault.message}
    if fault.fields:
        told["fields"] = fault.fields
    answer = json_response(told, fault.status)
    answer.headers.update(fault.headers)
    return answer


def fault_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the faults of a route; those that every route may have are among them."""
    content = {"application/json": {"schema": _FAULT_SCHEMA}}
    return {
        status: {"description": _FAULTS[status], "content": content}
        for status in sorted({400, 401, 403, 408, 413, 429, 503, *statuses})
    }


# ---- routes ----------------------------------------------------------------------------------


def arthur_router() -> APIRouter:
    """Make a router whose faults are told as this contract does; see `at` for its routes."""
    return APIRouter(route_class=contract_route(render), tags=["Arthur"])


def assembled(routers: Sequence[APIRouter]) -> APIRouter:
    """Put routers together, under every prefix."""
    whole = APIRouter()
    for number, prefix in enumerate(PREFIXES):
        for router in routers:
            whole.include_router(router, prefix=prefix, include_in_schema=number == 0)
    return whole


def at(
    router: APIRouter,
    method: str,
    path: str,
    answer: Mapping[str, Any] | None,
    *,
    status: int = 200,
    also: int | None = None,
    faults: tuple[int, ...] = (404,),
    body: Mapping[str, Any] | None = None,
    form: Mapping[str, Any] | None = None,
) -> Callable[[_Route], _Route]:
    """Register a route under one path in all its spellings.

    Parameters
    ----------
    path : str
        Without a slash at its end, with `/inferences/` where it has that part.
    answer : mapping
        JSON schema of what it answers; None: with no body.
    also : int, optional
        The status in place of `status` where the typed client asks (`is_typed`).
    faults : tuple of int
        Statuses of faults beside those that every route has.
    body : mapping, optional
        JSON schema of what it takes; the route reads it with `json_body`.
    form : mapping, optional
        Schema of the multipart form that it takes, too.
    """
    described: dict[str, Any] = {
        "methods": [method],
        "status_code": status,
        "response_class": Response,
        "responses": {
            **fault_responses(*faults),
            **{each: _answer(answer) for each in (status, also) if each is not None},
        },
        "openapi_extra": _taken(body, form),
    }

    def registered(function: _Route) -> _Route:
        told, *others = _spellings(path)
        for spelling in others:  # first, as an id at the end would take the slash for its own
            router.add_api_route(spelling, function, include_in_schema=False, **described)
        router.add_api_route(told, function, **described)
        return function

    return registered


def _answer(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    content = {"content": {"application/json": {"schema": dict(schema)}}} if schema else {}
    return {"description": "The answer", **content}


def _taken(body: Mapping[str, Any] | None, form: Mapping[str, Any] | None) -> dict[str, Any] | None:
    content = {
        media: {"schema": dict(schema)}
        for media, schema in (("application/json", body), ("multipart/form-data", form))
        if schema is not None
    }
    return {"requestBody": {"required": True, "content": content}} if content else None


def _spellings(path: str) -> list[str]:
    slashed = path.replace("{model_id}", "{model_id:path}")
    found = [slashed, slashed + "/"]
    if "/inferences" in path:
        found += [each.replace("/inferences", "/inference") for each in found]
    return found


# ---- requests --------------------------------------------------------------------------------


def only(request: Request, names: Sequence[str]) -> None:
    """See that a request has no parameters but these.

    Raises
    ------
    Fault
        400: it has others, which would be passed over in silence.
    """
    for name in request.query_params:
        if name not in names:
            rule = ", ".join(names) or "none here"
            msg = f"the parameters must be of {rule}, got {name}"
            raise Fault(400, msg)


def is_typed(request: Request) -> bool:
    """Tell whether the typed client asks: it expects some other statuses and words.

    `arthurai` wants 200 for a changed rule and calls a type `model_input_data_metric`, as the
    document does; `arthur-client` wants 201, and knows that type as `model_data_bound_metric`.
    """
    return request.headers.get("user-agent", "").startswith("arthur-client/")


def body_of(data: bytes) -> Any:
    """Read a body as JSON.

    Raises
    ------
    Fault
        400: it is none.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        msg = f"the body must be JSON, got something else: {error}"
        raise Fault(400, msg) from error


async def json_body(request: Request) -> dict[str, Any]:
    """Read the body of a request as a JSON object.

    Raises
    ------
    Fault
        400: it is none.
    """
    found = body_of(await request.body())
    if not isinstance(found, dict):
        msg = "the body must be a JSON object"
        raise Fault(400, msg)
    return found


# ---- models ----------------------------------------------------------------------------------

# A model is there once it has predictions, or something was made for it.
_KNOWN = """
select count(*) from (
    select 1 from models_known where model_id = $model
    union all select 1 from metrics_log where in_force and model_id = $model
    union all select 1 from rules_log where in_force and model_id = $model
    union all (select 1 from other_events where type = 'reference' and model_id = $model limit 1)
)
"""


def model_or_404(
    asking: Asking, settings: Settings, caller: Caller, model_id: str
) -> ModelSettings:
    """Give what is declared of a model that the caller may see; defaults where nothing is.

    Raises
    ------
    NotFoundError
        There is no such model, or not for this caller.
    """
    if caller.sees_model(model_id):
        declared = next((model for model in settings.models if model.id == model_id), None)
        if declared is not None:
            return declared
        if _is_known(asking, model_id):
            return ModelSettings(id=model_id)
    msg = f"`model_id` must be the id of a model, got {model_id}"
    raise NotFoundError(msg)


def _is_known(asking: Asking, model_id: str) -> bool:
    try:
        row = asking.cursor.execute(_KNOWN, {"model": model_id}).fetchone()
    except UnicodeEncodeError as error:
        msg = "`model_id` must be text"
        raise QueryError(msg) from error
    return row is not None and row[0] > 0
