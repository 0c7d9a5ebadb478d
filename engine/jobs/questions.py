"""Questions about a job, read from what a request or a command gives, every fault of them told.

The arguments are `job_id` (a text or a whole number), `start_datetime` (inclusive) and
`end_datetime` (exclusive) in event time as ISO 8601, `filters`, all of which must hold, and `top`:
how many ids of events and buckets are named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.instants import iso_us
from engine.jobs.fields import MAX_DOTS, kind_of
from engine.query.parse_faults import Faults, told
from engine.query.parse_values import number_of, text_of, whole_of

__all__ = [
    "MAX_TOP",
    "OPERATORS",
    "Filter",
    "JobQuestion",
    "Scalar",
    "numeric_text",
    "parse_question",
]

Scalar = str | float | bool

OPERATORS = (
    "is",
    "is not",
    "is one of",
    "is not one of",
    "starts with",
    "not starts with",
    "contains",
    "not contains",
    "exists",
    "not exists",
    "lt",
    "lte",
    "gt",
    "gte",
)
MAX_FILTERS = 100
MAX_VALUES = 1000
MAX_TOP = 1000
_MAX_ID = 256
_MAX_FIELD = 512
_DEFAULT_TOP = 10
_ARGUMENTS = ("job_id", "start_datetime", "end_datetime", "filters", "top")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SCALAR = "a text, a finite number or a boolean"
_INSTANT = "an ISO 8601 time or date"


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on the events.

    Attributes
    ----------
    field : str
        A column or a property, see `engine.jobs.fields`.
    operator : str
        One of `OPERATORS`.
    values : tuple of str, float or bool
        None for ``exists``, several for ``is one of``, else one. Of an instant: whole µs.
    """

    field: str
    operator: str
    values: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class JobQuestion:
    """What is asked of a job; times in µs since the epoch, None: open."""

    job_id: str
    job_given: str | int
    start_us: int | None = None
    end_us: int | None = None
    filters: tuple[Filter, ...] = ()
    top: int = _DEFAULT_TOP


def parse_question(arguments: Mapping[str, object]) -> JobQuestion:
    """Read a question; null is as if absent.

    Raises
    ------
    QueryError
        With every fault: where it is, the rule, and what was found.

    >>> parse_question({"job_id": 12, "end_datetime": "1970-01-02"}).end_us
    86400000000
    """
    faults = Faults()
    given = faults.entries(dict(arguments), "question", _ARGUMENTS, ("job_id",))
    job = _job(faults, given.get("job_id"))
    start = _instant(faults, given.get("start_datetime"), "start_datetime")
    end = _instant(faults, given.get("end_datetime"), "end_datetime")
    if start is not None and end is not None and end <= start:
        rule = f"later than `start_datetime` {told(given['start_datetime'])}"
        faults.must("end_datetime", rule, given["end_datetime"])
    filters = tuple(
        each
        for index, entry in enumerate(
            faults.items(given.get("filters", []), "filters", MAX_FILTERS, "filters")
        )
        if (each := _filter(faults, entry, f"filters[{index}]")) is not None
    )
    top = whole_of(faults, given.get("top", _DEFAULT_TOP), "top", 1, MAX_TOP)
    faults.raise_any()
    return JobQuestion(str(job), job, start, end, filters, top or _DEFAULT_TOP)


def numeric_text(value: str) -> bool:
    """Tell whether a text reads as a number of JSON: requests often put numbers into quotes."""
    return len(value) <= _MAX_ID and _NUMBER.fullmatch(value) is not None


def _job(faults: Faults, value: object) -> str | int:
    if value is None:  # told as missing
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_MAX_ID:
        return value
    if isinstance(value, str) and 0 < len(value) <= _MAX_ID:
        return text_of(faults, value, "job_id", _MAX_ID) or ""
    faults.must("job_id", f"a text of 1 to {_MAX_ID} characters or a whole number", value)
    return ""


def _instant(faults: Faults, value: object, place: str) -> int | None:
    if value is None:
        return None
    found = iso_us(value.strip()) if isinstance(value, str) and len(value) <= _MAX_ID else None
    if found is None:
        faults.must(place, _INSTANT, value)
    return found


def _filter(faults: Faults, entry: object, place: str) -> Filter | None:
    known = faults.entries(entry, place, ("field", "operator", "value"), ("field", "operator"))
    if "field" not in known or "operator" not in known:
        return None
    field = _field(faults, known["field"], f"{place}.field")
    operator = faults.choice(known["operator"], f"{place}.operator", OPERATORS)
    if field is None or operator is None:
        return None
    return Filter(field, operator, _values(faults, known.get("value"), place, field, operator))


def _field(faults: Faults, value: object, place: str) -> str | None:
    if value == "":
        faults.must(place, f"a text of 1 to {_MAX_FIELD} characters", value)
        return None
    field = text_of(faults, value, place, _MAX_FIELD)
    if field is not None and kind_of(field) == "property" and field.count(".") > MAX_DOTS:
        faults.must(place, f"a path with at most {MAX_DOTS} dots", field)
        return None
    return field


def _values(
    faults: Faults, value: object, place: str, field: str, operator: str
) -> tuple[Scalar, ...]:
    where = f"{place}.value"
    if operator in {"exists", "not exists"}:
        if value is not None:
            faults.must(where, f'absent: "{operator}" takes no value', value)
        return ()
    if value is None:
        faults.say(f'`{where}` is missing: "{operator}" compares with a value')
        return ()
    if operator in {"is one of", "is not one of"}:
        several = faults.items(value, where, MAX_VALUES, "values", empty=False)
    else:
        several, operator = [value], operator.removeprefix("not ")
    time = kind_of(field) == "time"
    read = _texts if operator in {"starts with", "contains"} else _times if time else _scalars
    ordered = operator in {"lt", "lte", "gt", "gte"}
    found = [
        read(faults, each, where if each is value else f"{where}[{index}]", ordered=ordered)
        for index, each in enumerate(several)
    ]
    return tuple(each for each in found if each is not None)


def _texts(faults: Faults, value: object, place: str, *, ordered: bool) -> Scalar | None:
    del ordered  # the same for all of them
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_of(faults, value, place)
    return text_of(faults, value, place)


def _times(faults: Faults, value: object, place: str, *, ordered: bool) -> Scalar | None:
    del ordered
    return _instant(faults, value, place)


def _scalars(faults: Faults, value: object, place: str, *, ordered: bool) -> Scalar | None:
    if isinstance(value, bool) and not ordered:
        return value
    if isinstance(value, str):
        return text_of(faults, value, place)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_of(faults, value, place)
    faults.must(place, "a text or a finite number" if ordered else _SCALAR, value)
    return None
