"""What is asked of `/sql`: a statement, its limits, and the form of the answer.

A POST has JSON with `sql`, or the statement itself as text; a GET has it as `q`. What stands in the
body goes before the query string, and that before the `Accept` header.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from connectors.rest.faults import Fault
from connectors.sqlwire import TIME_LIMIT_S

__all__ = ["FORMS", "ROWS", "ROWS_MAX", "SECONDS_MAX", "Asked", "asked_by_get", "asked_by_post"]

FORMS = {
    "json": "application/json",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
}
ROWS = 10_000
ROWS_MAX = 1_000_000
SECONDS_MAX = 300.0

_SQL_CHARACTERS = 1 << 20
_KEYS = ("sql", "limit_seconds", "limit_rows", "format")
_ANY = ("*/*", "application/*")


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement and its limits; `form` is one of `FORMS`."""

    sql: str
    seconds: float
    rows: int
    form: str


def asked_by_get(request: Request) -> Asked:
    """Read what a GET asks.

    Raises
    ------
    Fault
        400 or 406: a rule is broken.
    """
    return _asked(request, {"sql": request.query_params.get("q")})


async def asked_by_post(request: Request) -> Asked:
    """Read what a POST asks.

    Raises
    ------
    Fault
        400, 406 or 415: a rule is broken.
    """
    body = await request.body()
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in {"text/plain", "application/sql"}:
        return _asked(request, {"sql": _text(body)})
    if media not in {"", "application/json"}:
        msg = f"`Content-Type` must be application/json or text/plain, got {media[:80]!r}"
        raise Fault(415, msg)
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        msg = f"the body must be a JSON object with `sql`, got none: {error}"
        raise Fault(400, msg) from None
    if not isinstance(given, dict):
        msg = f"the body must be a JSON object with `sql`, got {type(given).__name__}"
        raise Fault(400, msg)
    unknown = [name for name in given if name not in _KEYS]
    if unknown:
        msg = f"the body must have no keys but {', '.join(_KEYS)}, got {unknown[0][:80]!r}"
        raise Fault(400, msg)
    return _asked(request, given)


def _asked(request: Request, given: dict[str, Any]) -> Asked:
    query = request.query_params
    sql = given.get("sql")
    if not isinstance(sql, str) or not sql.strip() or len(sql) > _SQL_CHARACTERS:
        rule = f"a statement of at most {_SQL_CHARACTERS} characters"
        raise _off({"sql": rule}, _shown(sql))
    if "\0" in sql:
        raise _off({"sql": "a text without the character NUL"}, _shown(sql))
    seconds = _number(given.get("limit_seconds"), query.get("limit_seconds"), TIME_LIMIT_S)
    if not 0 < seconds <= SECONDS_MAX:
        raise _off({"limit_seconds": f"a number above 0 and at most {SECONDS_MAX:g}"}, seconds)
    rows = _number(given.get("limit_rows"), query.get("limit_rows"), ROWS)
    if not 1 <= rows <= ROWS_MAX or rows != int(rows):
        raise _off({"limit_rows": f"a whole number from 1 to {ROWS_MAX}"}, rows)
    return Asked(sql, seconds, int(rows), _form(request, given.get("format")))


def _form(request: Request, given: Any) -> str:
    named = given if given is not None else request.query_params.get("format")
    if named is not None:
        if not isinstance(named, str) or named not in FORMS:
            raise _off({"format": f"one of {', '.join(FORMS)}"}, _shown(named))
        return named
    accept = request.headers.get("accept", "*/*").lower()
    wanted = [part.partition(";")[0].strip() for part in accept.split(",")]
    by_media = {media: form for form, media in FORMS.items()}
    for media in wanted:
        if media in by_media:
            return by_media[media]
        if media in _ANY or not media:
            return "json"
        if media == "text/*":
            return "csv"
    msg = f"`Accept` must have one of {', '.join(by_media)}, got {accept[:80]!r}"
    raise Fault(406, msg)


def _number(of_body: Any, of_query: str | None, default: float) -> float:
    """Give the number that was said; NaN where it is none."""
    said = of_body if of_body is not None else of_query
    if said is None:
        return default
    if isinstance(said, bool) or not isinstance(said, int | float | str) or len(str(said)) > 40:
        return float("nan")
    try:
        return float(said)
    except ValueError:
        return float("nan")


def _off(rule: dict[str, str], value: object) -> Fault:
    """Give the fault of the one field, whose rule it is."""
    ((name, text),) = rule.items()
    msg = f"`{name}` must be {text}, got {value}"
    return Fault(400, msg, {name: [msg]})


def _shown(value: object) -> str:
    return "none" if value is None or value == "" else repr(value)[:80]


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        msg = "the body must be UTF-8"
        raise Fault(400, msg) from None
