"""What the routes take and answer, as JSON schemas of the description."""

from typing import Any

from starlette.responses import Response

from connectors.jobcalls import TIMEOUT_S, TIMEOUT_S_MAX
from engine.jobs.questions import MAX_TOP, OPERATORS

__all__ = [
    "BOTH",
    "HEALTH",
    "JOB",
    "MODEL",
    "MODEL_QUERY",
    "RECOMPUTE",
    "SCOPES",
    "described",
]

Schema = dict[str, Any]


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        **({"required": list(required)} if required else {}),
    }


def _or_null(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


_TEXT, _COUNT, _FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
_JOB_ID = {"type": ["integer", "string"]}
_SHARE = _or_null("number", minimum=0, maximum=1)
_TIME = _or_null("string", format="date-time")
_COUNTS = ("true_positives", "true_negatives", "false_positives", "false_negatives")
_SHARES = ("precision", "recall", "f1_score")
_OVERALL = ("overall_accuracy", "overall_f1_score", "overall_recall", "overall_precision")
_MATRIX = {"type": ["array", "null"], "items": {"type": "array", "items": _COUNT}}
_DECISION = _object(
    (*_SHARES, *_COUNTS), **dict.fromkeys(_SHARES, _SHARE), **dict.fromkeys(_COUNTS, _COUNT)
)
_BLOCK: Schema = {
    "confusion_matrix": _MATRIX,
    **dict.fromkeys(_OVERALL, _SHARE),
    "metrics_per_decision": {"type": "object", "additionalProperties": _DECISION},
}
_CHANGED = _object(
    ("total_events", "top_events_ids", "top_buckets_ids"),
    total_events=_or_null("integer"),
    top_events_ids={"type": "array", "items": _TEXT},
    top_buckets_ids={"type": "array", "items": _TEXT},
)
_OF_JOB: Schema = {
    **_BLOCK,
    "start_time": _TIME,
    "end_time": _TIME,
    "time_saved_minutes": _or_null("number"),
    "active_model_id": _or_null("string"),
    "all_model_ids": {"type": "array", "items": _TEXT},
    "total_events": _COUNT,
    "total_events_in_knowledge_base": _or_null("integer"),
    "total_events_with_consensus": _COUNT,
    "changed_consensus_after_training": _CHANGED,
}
_OF_MODEL: Schema = {
    **_BLOCK,
    "model_id": _or_null("string"),
    "is_recomputing_metrics": _FLAG,
    "last_recomputed_timestamp": _TIME,
}
_KNOWN: Schema = {
    "kb_count_per_decision": {
        "type": "object",
        "additionalProperties": _object(
            ("alerts_count", "buckets_count"), alerts_count=_COUNT, buckets_count=_COUNT
        ),
    },
    "buckets_in_kb": _COUNT,
    "events_in_kb": _COUNT,
}

JOB: Schema = _object(
    ("job_id", *_OF_JOB, "is_recomputing_metrics"),
    job_id=_JOB_ID,
    is_recomputing_metrics=_FLAG,
    **_OF_JOB,
)
MODEL: Schema = _object(tuple(_OF_MODEL), **_OF_MODEL, **_KNOWN)
_MODEL_OR_NONE = {
    "anyOf": [_object((*_OF_MODEL, *_KNOWN), **_OF_MODEL, **_KNOWN), {"type": "null"}]
}
BOTH: Schema = _object(
    ("job_id", "model_id", "job_metrics", "model_metrics", *_OF_JOB, "active_model_metrics"),
    job_id=_JOB_ID,
    model_id=_TEXT,
    job_metrics=_object(tuple(_OF_JOB), **_OF_JOB),
    model_metrics=_MODEL_OR_NONE,
    active_model_metrics=_MODEL_OR_NONE,
    is_recomputing_metrics=_FLAG,
    **_OF_JOB,
)
RECOMPUTE: Schema = _object(
    ("message", "job_id", "model_id", "status", "requested_at"),
    message=_TEXT,
    job_id=_JOB_ID,
    model_id=_TEXT,
    status={"type": "string", "enum": ["queued", "in_progress", "completed", "failed"]},
    requested_at={"type": "string", "format": "date-time"},
    error=_TEXT,
)
SCOPES: Schema = {"type": "array", "items": _TEXT}
HEALTH: Schema = _object(
    ("status", "reason", "reason_details"), status=_TEXT, reason=_TEXT, reason_details=_TEXT
)

_BODY = _object(
    filters={
        "type": ["array", "null"],
        "description": "All of them must hold.",
        "items": {
            **_object(
                ("field", "operator"),
                field={"type": "string", "minLength": 1, "examples": ["arcanna.result_label"]},
                operator={"type": "string", "enum": list(OPERATORS)},
                value={"description": "None for `exists`, a list for `is one of`."},
            ),
            "additionalProperties": False,
        },
    }
) | {"additionalProperties": False}
_EXAMPLE = {"filters": [{"field": "arcanna.result_label", "operator": "is", "value": "Escalate"}]}

_PARAMETERS: dict[str, tuple[Schema, str]] = {
    "job_id": (
        {"type": ["integer", "string"], "minLength": 1, "maxLength": 256},
        "The job, by its id.",
    ),
    "model_id": ({"type": "string", "maxLength": 256}, "A model of the job."),
    "start_datetime": (
        {"type": "string", "examples": ["2025-01-01T00:00:00Z", "2025-01-01"]},
        "From this event time on, ISO 8601; without a zone it is UTC.",
    ),
    "end_datetime": (
        {"type": "string", "examples": ["2025-01-02T00:00:00Z", "2025-01-02"]},
        "Up to this event time, itself not included.",
    ),
    "timeout_s": (
        {"type": "integer", "minimum": 0, "maximum": TIMEOUT_S_MAX, "default": TIMEOUT_S},
        "The longest wait for the metrics of the model; then those last known are told.",
    ),
    "top": (
        {"type": "integer", "minimum": 1, "maximum": MAX_TOP, "default": 10},
        "How many ids of events and buckets are listed.",
    ),
}
_RANGE = ("job_id", "start_datetime", "end_datetime", "top")
MODEL_QUERY = ("job_id", "model_id")

_ERROR = _object(("error",), error=_TEXT, details=_TEXT)
_BROKEN = _object(
    ("detail",),
    detail={
        "type": "array",
        "items": _object(
            ("loc", "msg", "type"),
            loc={"type": "array", "items": {"type": ["string", "integer"]}},
            msg=_TEXT,
            type=_TEXT,
        ),
    },
)
_FAULTS = {
    400: "It cannot be answered, or not in the time there is",
    401: "No key, or one that is not known",
    403: "The user may not do that",
    404: "There is no such job or model for this user",
    408: "The body came too slowly",
    413: "The body is too large",
    429: "Too many wrong keys from there",
    503: "Too much at once, or the run has ended",
}


def described(
    answer: Schema,
    *,
    query: tuple[str, ...] = _RANGE,
    required: tuple[str, ...] = (),
    wait: bool = False,
    body: bool = False,
    open_to_all: bool = False,
) -> dict[str, Any]:
    """Give what the registration of a route says of it.

    Parameters
    ----------
    answer : dict
        JSON schema.
    query : tuple of str
        The parameters of the query string.
    required : tuple of str
        Those beside `job_id` that must be there.
    wait : bool
        Whether there is `timeout_s`, too.
    body : bool
        Whether it takes filters.
    open_to_all : bool
        Whether no key is needed.
    """
    extra: dict[str, Any] = {"security": []} if open_to_all else {}
    names = (*query, "timeout_s") if wait else query
    if names:
        extra["parameters"] = [_parameter(name, required) for name in names]
    if body:
        content = {"schema": _BODY, "example": _EXAMPLE}
        extra["requestBody"] = {"required": False, "content": {"application/json": content}}
    faults = {status: _told(text, _ERROR) for status, text in _FAULTS.items()}
    return {
        "response_class": Response,
        "responses": {
            200: _told("The answer", answer),
            **faults,
            **({422: _told("Parameters or body break a rule", _BROKEN)} if names else {}),
        },
        "openapi_extra": extra,
    }


def _parameter(name: str, required: tuple[str, ...]) -> Schema:
    schema, text = _PARAMETERS[name]
    must = name == "job_id" or name in required
    return {"name": name, "in": "query", "required": must, "description": text, "schema": schema}


def _told(text: str, schema: Schema) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}
