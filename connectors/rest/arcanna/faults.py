"""Faults as this contract tells them.

A fault is `{"error": message}`, where more is to be said with `details`; parameters and bodies that
break a rule are status 422, with a list under `detail` of where each rule is broken.
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.faults import Fault

__all__ = ["NOT_FOUND", "absent_model", "broken_rules", "render"]

NOT_FOUND = "Job or model not found"

_PLACE = re.compile(r"`([^`]*)`")
_STEP = re.compile(r"[^.\[\]]+")
_MISSING = " is missing"
_DETAILS = "details"  # the only key of `Fault.fields` that is no place
_BODY = ("filters", "body")


def absent_model(model_id: str, job_id: str, why: str = "not found for") -> Fault:
    """Give the fault that a job has no such model."""
    told = f"Model '{model_id}' {why} job '{job_id}'"
    return Fault(404, "Model not found", {_DETAILS: [told]})


def broken_rules(text: str) -> Fault:
    """Give the fault of a text with a line for each rule, its place in backticks first."""
    fields: dict[str, list[str]] = {}
    for line in text.replace("`question.", "`").splitlines():
        found = _PLACE.match(line)
        place = found[1] if found else "body"
        fields.setdefault(place, []).append(line)
    return Fault(422, text, fields)


def render(_: Request, fault: Fault) -> Response:
    """Tell a fault."""
    told: dict[str, Any] = {"error": fault.message}
    if fault.status == 422:
        told = {"detail": list(_details(fault))}
    elif _DETAILS in fault.fields:
        told[_DETAILS] = fault.fields[_DETAILS][0]
    answer = Response(orjson.dumps(told), fault.status, media_type="application/json")
    answer.headers.update(fault.headers)
    return answer


def _details(fault: Fault) -> Iterator[dict[str, Any]]:
    for place, lines in fault.fields.items():
        for line in lines:
            kind = "missing" if line.endswith(_MISSING) else "value_error"
            yield {"loc": _loc(place), "msg": line, "type": kind}


def _loc(place: str) -> list[str | int]:
    steps = [int(step) if step.isdecimal() else step for step in _STEP.findall(place)]
    if place == "body":
        return ["body"]
    return ["body" if steps and steps[0] in _BODY else "query", *steps]
