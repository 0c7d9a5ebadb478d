"""The fields of stored events as SQL, for the catalogues that the configuration declares.

A name is only data: a column is looked up, anything else is a JSON pointer, escaped. Texts are
compared as classes are: 1 and 1.0 are one text. A number is finite or it is none.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from engine.panes import NUMBERS, text
from engine.processing.happenings import HAPPENINGS, Happening, in_force
from engine.query.columns import class_text

__all__ = ["EVENT_KINDS", "EventKind", "Fields"]

_RUN, _INGEST = HAPPENINGS


@dataclass(frozen=True, slots=True)
class EventKind:
    """Where the events of a type are, and which of their fields are columns.

    Attributes
    ----------
    relation : str
        SELECT of the rows in force.
    wider : str
        The same with ``{json}``, which is needed for further fields and those of `joined`.
    time : str
        The column that is their time.
    json : str or None
        SQL of the JSON with further fields; None: there are no further ones.
    texts, numbers : Mapping
        Field to SQL over the rows ``r``, VARCHAR and DOUBLE.
    joined : tuple of str
        Fields that only the wider relation has.
    """

    relation: str
    wider: str
    time: str
    json: str | None
    texts: Mapping[str, str]
    numbers: Mapping[str, str]
    joined: tuple[str, ...] = ()


def _happened(happening: Happening) -> EventKind:
    rows = in_force(happening)
    wider = (
        "SELECT r.*, o.model_id, o.job_id, {json} FROM ("
        + rows
        + ") r LEFT JOIN other_events o ON o.seq = r.seq"
    )
    joined = ("model_id", "job_id")
    texts = ("id", *happening.texts, *joined)
    numbers = _columns(happening.amounts)
    return EventKind(
        rows,
        wider,
        "event_time",
        "o.raw",
        _texts(texts, numbers),
        MappingProxyType(numbers),
        joined,
    )


def _texts(names: Collection[str], numbers: Mapping[str, str]) -> Mapping[str, str]:
    """Give the texts of columns; numbers that are no texts themselves are class texts."""
    told = {name: class_text(number) for name, number in numbers.items()}
    return MappingProxyType(told | {name: f"r.{name}::VARCHAR" for name in names})


def _columns(names: Collection[str]) -> dict[str, str]:
    return {name: f"r.{name}" for name in names}


_STEP_NUMBERS = {
    "step": "r.step::DOUBLE",
    "value": "CASE WHEN isfinite(r.value) THEN r.value END",
}
_EVENT_TEXTS = (
    *("model_id", "job_id", "batch_id", "bucket_id", "prediction", "label"),
    *("label_source", "correct"),
)
_EVENT_NUMBERS = {
    "score": "r.score",
    "prediction": "r.prediction_number",
    "label": "r.label_number",
}

EVENT_KINDS: Final = {
    "run": _happened(_RUN),
    "ingest": _happened(_INGEST),
    "metric": EventKind(
        "SELECT * FROM step_metrics",
        "SELECT * FROM step_metrics",
        "timestamp",
        None,
        _texts(("job_id", "experiment_id", "name"), _STEP_NUMBERS),
        MappingProxyType(_STEP_NUMBERS),
    ),
    "prediction": EventKind(
        "SELECT * FROM events",
        "SELECT o.*, {json} FROM events o",
        "event_time",
        "o.properties",
        _texts(_EVENT_TEXTS, _EVENT_NUMBERS),
        MappingProxyType(_EVENT_NUMBERS),
    ),
}
"""By type."""

_FOLDED = ("status", "error_category")  # compared without case, as in the built-in catalogues


class Fields:
    """Gives the fields of one kind of events as SQL over the rows ``r`` of `relation`.

    >>> fields = Fields(EVENT_KINDS["run"])
    >>> fields.text("job_type"), fields.number("run_time")
    ('r.job_type::VARCHAR', 'r.run_time')
    >>> fields.number("it's").startswith("CASE WHEN json_type(r.j[1]) IN")
    True
    """

    def __init__(self, kind: EventKind) -> None:
        self._kind = kind
        self._places: dict[str, int] = {}
        self._joined = False

    def text(self, name: str) -> str:
        """Give SQL, VARCHAR: strings as they are, other scalars as class text; NULL if absent."""
        if name in self._kind.texts:
            self._joined |= name in self._kind.joined
            return self._kind.texts[name]
        value = self._json(name)
        kind, number = f"json_type({value})", class_text(f"{value}::DOUBLE")
        return (
            f"CASE WHEN {kind} IN {NUMBERS} THEN {number}"
            f" WHEN {kind} IN ('VARCHAR', 'BOOLEAN') THEN {value} ->> '$' END"
        )

    def number(self, name: str) -> str:
        """Give SQL, DOUBLE: the value if it is a finite number, else NULL."""
        if name in self._kind.numbers:
            return self._kind.numbers[name]
        if name in self._kind.texts:
            return "NULL::DOUBLE"
        value = self._json(name)
        return f"CASE WHEN json_type({value}) IN {NUMBERS} THEN {value}::DOUBLE END"

    def among(self, name: str, values: Collection[str]) -> str:
        """Give SQL, BOOLEAN: whether a field is one of these values."""
        fold: Callable[[str], str] = str.lower if name in _FOLDED else str
        told = self.text(name)
        listed = ", ".join(text(fold(value)) for value in values)
        return f"coalesce({f'lower({told})' if name in _FOLDED else told} IN ({listed}), false)"

    def relation(self) -> str:
        """Give the SELECT of the rows, with what has been asked for until now."""
        if not self._places and not self._joined:
            return self._kind.relation
        listed = ", ".join(map(text, self._places))
        json = f"json_extract({self._kind.json}, [{listed}])" if listed else "NULL"
        return self._kind.wider.format(json=f"{json} AS j")

    def _json(self, name: str) -> str:
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        return f"r.j[{self._places.setdefault(pointer, len(self._places) + 1)}]"
