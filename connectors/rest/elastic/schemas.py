"""The OpenAPI description of this contract's routes: parameters, bodies, answers and errors."""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ALLOW_NO_MATCH",
    "BODY_OPTIONS",
    "Schema",
    "acknowledged",
    "described",
    "job_body",
    "listed",
    "update_body",
]

Schema = Mapping[str, Any]

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_WHOLE = {"type": "integer"}
_NUMBER = {"type": "number"}
_TIME = {"oneOf": [_TEXT, _WHOLE], "description": "Epoch milliseconds or ISO 8601; -1 is unset."}
_PAGE = {
    "type": "object",
    "properties": {
        "from": {**_WHOLE, "minimum": 0},
        "size": {**_WHOLE, "minimum": 0, "maximum": 10_000},
    },
    "additionalProperties": False,
}
ALLOW_NO_MATCH: Schema = {**_FLAG, "description": "Whether patterns may mean no job."}
BODY_OPTIONS: Mapping[str, Schema] = {
    **dict.fromkeys(
        ("anomaly_score", "record_score", "influencer_score", "overall_score"), _NUMBER
    ),
    **dict.fromkeys(("desc", "exclude_interim", "expand"), _FLAG),
    **dict.fromkeys(("start", "end"), _TIME),
    "from": {**_WHOLE, "minimum": 0},
    "size": {**_WHOLE, "minimum": 0, "maximum": 10_000},
    "top_n": {**_WHOLE, "minimum": 1},
    "page": _PAGE,
    "sort": {**_TEXT, "minLength": 1, "description": "A field of the answer."},
    "bucket_span": {**_TEXT, "description": 'Such as "1h"; at least the longest of the jobs.'},
    "allow_no_match": ALLOW_NO_MATCH,
}
_COMMON: Mapping[str, Schema] = {
    "filter_path": {**_TEXT, "description": "The parts of the answer that are wanted."},
    "pretty": {**_FLAG, "description": "Whether the answer is indented."},
    "human": {"type": "boolean", "enum": [False]},
    "error_trace": {"type": "boolean", "enum": [False]},
}
_REASON = {
    "type": "object",
    "required": ["type", "reason"],
    "properties": {"type": _TEXT, "reason": _TEXT},
}
_ERROR = {
    "type": "object",
    "required": ["error", "status"],
    "properties": {
        "error": {
            **_REASON,
            "required": ["root_cause", "type", "reason"],
            "properties": {
                "root_cause": {"type": "array", "items": _REASON},
                "type": _TEXT,
                "reason": _TEXT,
            },
        },
        "status": _WHOLE,
    },
}
_FAULTS = {
    400: "The request breaks a rule.",
    401: "There is no API key, or no known one.",
    403: "The caller may not do that.",
    404: "There is no such job or result.",
    409: "The job is not in the state for that.",
    413: "The body is too large.",
    429: "There is too much to do just now.",
    503: "The run is ending.",
}


def acknowledged(name: str) -> Schema:
    """Give the schema of an answer that says that something was done."""
    return {"type": "object", "properties": {name: _FLAG}}


def update_body() -> Schema:
    """Give the schema of the changes to a job."""
    properties = job_body()["properties"]
    changed = ("description", "groups", "custom_settings")
    return {
        "type": "object",
        "properties": {
            **{name: properties[name] for name in changed},
            "analysis_limits": {"type": "object"},
            "detectors": {"type": "array", "items": {"type": "object"}},
        },
    }


def listed(name: str) -> Schema:
    """Give the schema of an answer with `count` and a list."""
    return {
        "type": "object",
        # With `filter_path` only what it names.
        "properties": {"count": _WHOLE, name: {"type": "array", "items": {"type": "object"}}},
    }


def job_body() -> Schema:
    """Give the schema of a job as it is created."""
    return {
        "type": "object",
        "required": ["analysis_config"],
        "properties": {
            "analysis_config": {
                "type": "object",
                "required": ["detectors"],
                "properties": {
                    "detectors": {"type": "array", "minItems": 1, "items": {"type": "object"}}
                },
            },
            "data_description": {"type": "object"},
            "description": _TEXT,
            "groups": {"type": "array", "items": _TEXT},
            "custom_settings": {"type": "object"},
        },
    }


def described(
    operation_id: str,
    answered: Schema,
    *,
    query: Mapping[str, Schema] | None = None,
    body: Schema | None = None,
    body_required: bool = False,
    status: int = 200,
) -> dict[str, Any]:
    """Give the arguments of a route that describe it.

    Parameters
    ----------
    operation_id : str
    answered : Schema
        Of what it answers when all is well.
    query : mapping of str to Schema
        Its options in the query string, apart from those of every call.
    body : Schema
    body_required : bool
    status : int
        Of what it answers when all is well.
    """
    options = {**(query or {}), **_COMMON}
    extra: dict[str, Any] = {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in options.items()
        ]
    }
    if body is not None:
        extra["requestBody"] = {
            "required": body_required,
            "content": {"application/json": {"schema": body}},
        }
    faults = {
        code: {"description": told, "content": {"application/json": {"schema": _ERROR}}}
        for code, told in _FAULTS.items()
    }
    fine = {"description": "Done", "content": {"application/json": {"schema": answered}}}
    return {
        "operation_id": operation_id,
        "openapi_extra": extra,
        "responses": {status: fine, **faults},
        "status_code": status,
    }
