"""What is asked of a job, from the query string and the body of a request.

Dates come from a client that puts them into the address as they are: a blank before a zone was a
plus sign. Parameters that are not known are left alone, keys of the body are not.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from connectors.jobcalls import TIMEOUT_S, TIMEOUT_S_MAX
from connectors.rest.arcanna.faults import broken_rules
from engine.errors import QueryError
from engine.jobs.questions import parse_question

__all__ = ["Asked", "asked", "asked_of_model"]

_QUERY = ("start_datetime", "end_datetime", "top")
_DIGITS_MAX = 18  # of a job's id that is told as a number, and of any other number
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_LOST_PLUS = re.compile(r"(T[0-9:.]+) ([0-9]{2}:?[0-9]{2})", re.ASCII)
_MODEL_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """A question; `arguments` are those of `connectors.jobcalls`, without the time limit."""

    job_id: str
    arguments: dict[str, Any]
    timeout_s: int


async def asked(request: Request) -> Asked:
    """Read the question about a job: query string and body.

    Raises
    ------
    Fault
        422: with every rule that is broken.
    """
    return _checked(request, _of_body(await request.body()))


def asked_of_model(request: Request, *, required: bool) -> tuple[Asked, str | None]:
    """Read the question about a model: `job_id`, `model_id` and `timeout_s` of the query string.

    Raises
    ------
    Fault
        422: with every rule that is broken.
    """
    model_id = request.query_params.get("model_id") or None
    if model_id is None and required:
        msg = "`model_id` is missing"
        raise broken_rules(msg)
    if model_id is not None and len(model_id) > _MODEL_CHARACTERS:
        msg = f"`model_id` must be a text of 1 to {_MODEL_CHARACTERS} characters, got a longer one"
        raise broken_rules(msg)
    return _checked(request, {}), model_id


def _checked(request: Request, of_body: dict[str, Any]) -> Asked:
    given = request.query_params
    arguments: dict[str, Any] = {name: given[name] for name in _QUERY if given.get(name)}
    for name in ("start_datetime", "end_datetime"):
        if name in arguments:
            arguments[name] = _LOST_PLUS.sub(r"\1+\2", arguments[name])
    if "top" in arguments:
        arguments["top"] = _number(arguments["top"])
    if given.get("job_id"):
        arguments["job_id"] = _number(given["job_id"])
    faults: list[str] = []
    timeout_s = _timeout(faults, given.get("timeout_s"))
    try:
        question = parse_question({**of_body, **arguments})
    except QueryError as error:
        raise broken_rules("\n".join([str(error), *faults])) from None
    if faults:
        raise broken_rules("\n".join(faults))
    return Asked(question.job_id, {**of_body, **arguments}, timeout_s)


def _timeout(faults: list[str], said: str | None) -> int:
    timeout_s = _number(said) if said else TIMEOUT_S
    if isinstance(timeout_s, int) and 0 <= timeout_s <= TIMEOUT_S_MAX:
        return timeout_s
    shown = repr(said)[:80]
    faults.append(f"`timeout_s` must be a whole number from 0 to {TIMEOUT_S_MAX}, got {shown}")
    return TIMEOUT_S


def _number(text: str) -> int | str:
    """Give a whole number as such, if its text is the only one that it has."""
    plain = _WHOLE.fullmatch(text) and len(text) <= _DIGITS_MAX and text != "-0"
    return int(text) if plain else text


def _of_body(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        msg = f"`body` must be JSON, got what is none: {error}"
        raise broken_rules(msg) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        msg = "`body` must be an object with the list `filters`, got something else"
        raise broken_rules(msg)
    unknown = [name for name in value if name != "filters"]
    if unknown:
        msg = f"`body` must have no key but `filters`, got {unknown[0][:80]!r}"
        raise broken_rules(msg)
    return {name: each for name, each in value.items() if each is not None}
