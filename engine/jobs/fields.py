"""Fields that a filter names, as SQL over a job's rows: columns, or places in the event's JSON.

A field is a column of `events`, by its name or by another system's name for it, or else a property.
A qualified name (``features.age``) is looked for there first. Any name is looked for in the
features, the predictions, the labels (as the event itself says them) and the further fields; one
with dots also along every way of cutting it into keys, the fewest keys first. The first value that
is not null counts.

>>> places("shop.id")[3:]
('/shop.id', '/shop/id')
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from types import MappingProxyType
from typing import Literal

from engine.jobs.event_buckets import bucket_sql
from engine.kept import number_sql
from engine.panes import text
from engine.query.columns import class_text, pointer
from engine.schema import CONTAINERS, KNOWN

__all__ = [
    "COLUMNS",
    "MAX_DOTS",
    "Column",
    "Kind",
    "kind_of",
    "number_of_field",
    "places",
    "value_sql",
]

Kind = Literal["text", "class", "number", "time", "property"]

MAX_DOTS = 6
"""Of a field that is no column: 2^6 ways to cut it into keys."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the rows, aliased ``r``.

    Attributes
    ----------
    kind : str
        ``text``, ``class`` (a text that may be a number), ``number`` or ``time``.
    text : str
        SQL, VARCHAR; what `is` and its like compare. Of an instant: ISO 8601 with microseconds.
    value : str
        SQL of what is ordered: DOUBLE, or TIMESTAMP of an instant; of a text the text itself.
    """

    kind: Kind
    text: str
    value: str


def _text(sql: str) -> Column:
    return Column("text", sql, sql)


def _time(name: str) -> Column:
    return Column("time", f"strftime(r.{name}, '%Y-%m-%dT%H:%M:%S.%fZ')", f"r.{name}")


_CONSENSUS = (
    "CASE WHEN r.label_source IN ('votes', 'administrator') THEN r.label"
    " WHEN r.label_source = 'undecided' THEN 'Undecided' END"
)
_PREDICTION = Column("class", "r.prediction", "r.prediction_number")
_EVENT_TIME, _RECEIVED_TIME = _time("event_time"), _time("received_time")
_EVENT_ID = _text("r.event_id")

COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "model_id": _text("r.model_id"),
        "event_id": _EVENT_ID,
        "id": _EVENT_ID,
        "event_time": _EVENT_TIME,
        "timestamp": _EVENT_TIME,
        "@timestamp": _EVENT_TIME,
        "received_time": _RECEIVED_TIME,
        "timestamp_inference": _RECEIVED_TIME,
        "prediction": _PREDICTION,
        "label": Column("class", "r.label", "r.label_number"),
        "label_time": _time("label_time"),
        "label_source": _text("r.label_source"),
        "score": Column("number", class_text("r.score"), "r.score"),
        "correct": _text("(r.label = r.prediction)::VARCHAR"),
        "job_id": _text("r.job_id"),
        "batch_id": _text("r.batch_id"),
        "bucket_id": _text("r.bucket_id"),
        "arcanna.result_label": _PREDICTION,
        "arcanna.consensus": _text(f"({_CONSENSUS})"),
        "arcanna.bucket_id": _text(f"({bucket_sql('r')})"),
    }
)
"""Columns by the names that filters have for them; the last three are Arcanna's."""

# A container as a whole is asked for like a further field: whether there are `features` at all.
_NEVER_FURTHER = KNOWN - frozenset(CONTAINERS)


def kind_of(field: str) -> Kind:
    """Tell of which kind a field is; ``property`` of what is no column."""
    return COLUMNS[field].kind if field in COLUMNS else "property"


def places(name: str) -> tuple[str, ...]:
    """Give the JSON pointers of the places of a property, in the order of looking."""
    qualified = name.partition(".")[0] in CONTAINERS and "." in name
    found = [pointer(name)] if qualified else []
    found += [f"/{container}/{_escaped(name)}" for container in CONTAINERS]
    keys = name.split(".")
    inner = range(1, len(keys))
    cuts = [cut for size in range(len(keys)) for cut in combinations(inner, size)]
    for cut in cuts:
        ends = (0, *cut, len(keys))
        path = [".".join(keys[a:b]) for a, b in pairwise(ends)]
        if len(path) > 1 or path[0] not in _NEVER_FURTHER:
            found.append("".join("/" + _escaped(key) for key in path))
    return tuple(dict.fromkeys(found))


def value_sql(name: str, raw: str) -> str:
    """Give SQL, JSON, of the value of a property; NULL where it is absent or null.

    A line where the first place has one is read once, any other one twice: all other places are
    read at a time.
    """
    first, *others = places(name)
    listed = f"json_extract({raw}, [{', '.join(map(text, others))}])"
    return (
        f"coalesce(nullif(json_extract({raw}, {text(first)}), 'null'::JSON),"
        f" list_filter({listed}, lambda p: p <> 'null'::JSON)[1])"
    )


def number_of_field(name: str) -> str | None:
    """Give SQL, DOUBLE, of the value of a property of a plain row; None: it may be no number."""
    found = []
    for place in places(name):
        keys = [key.replace("~1", "/").replace("~0", "~") for key in place[1:].split("/")]
        if len(keys) == 1 and keys[0] in CONTAINERS:
            return None  # a container as a whole
        if len(keys) == 1 or (len(keys) == 2 and keys[0] in CONTAINERS):
            found.append(number_sql(".".join(keys)))
    return f"coalesce({', '.join(found)}, NULL)" if found else "NULL::DOUBLE"


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
