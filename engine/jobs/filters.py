"""Filters as SQL: one predicate over the rows of a job, with every value bound as a parameter.

- Values are compared by class text, as in the rules of an event: ``1``, ``1.0`` and ``"1"`` are one
  value, and ``true`` is ``"true"``; instants as instants.
- ``lt``, ``lte``, ``gt`` and ``gte`` compare numbers with numbers (a value may be a number in
  quotes), instants with instants and texts with texts by code point; a number is never less than
  a text, and truths have no order.
- Of a list in a further field any element may match; objects match nothing but ``exists``.
- A ``not`` operator is true exactly where the other one is not, so also where the field is absent.
- A field exists where it is there and not null.

A line that cannot match is told by its bytes where that is possible, before its JSON is read
(`engine.jobs.likely`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.jobs.fields import COLUMNS, Column, number_of_field, places, value_sql
from engine.jobs.likely import COMPARE, SAME, likely_sql, scalar_text
from engine.jobs.questions import Filter, numeric_text
from engine.panes import NUMBERS, text
from engine.query.columns import class_text

__all__ = ["LABEL_COLUMNS", "Predicate", "compile_filters"]

LABEL_COLUMNS = ("r.label", "r.label_")


@dataclass(frozen=True, slots=True)
class Predicate:
    """What rows must fulfil.

    Attributes
    ----------
    sql : str
        Boolean, never NULL, over rows aliased ``r``.
    parameters : mapping of str to object
        Its values by name.
    reads_labels : bool
        Whether it needs the label that holds: else it can be told of the event alone.
    reads_raw : bool
        Whether it needs what the event says beside its columns.
    """

    sql: str
    parameters: Mapping[str, object]
    reads_labels: bool
    reads_raw: bool


def _reads_raw(sql: str) -> bool:
    return "r.raw" in sql or "r.line" in sql


class _Values:
    """Binds values to names; equal ones of one type to the same."""

    def __init__(self) -> None:
        self.bound: dict[str, object] = {}
        self._names: dict[tuple[type, object], str] = {}

    def bind(self, value: object) -> str:
        key = (type(value), value)
        if key not in self._names:
            self._names[key] = f"f{len(self.bound)}"
            self.bound[self._names[key]] = value
        return f"${self._names[key]}"


def compile_filters(filters: tuple[Filter, ...]) -> tuple[Predicate, ...]:
    """Give one predicate for what can be told of the events alone, and one for what needs labels.

    Either is left out when there is nothing in it.
    """
    values = _Values()
    event: list[str] = []
    labelled: list[str] = []
    for each in filters:
        sql = _negatable(each, values)
        (labelled if any(name in sql for name in LABEL_COLUMNS) else event).append(sql)
    return tuple(
        Predicate(" AND ".join(parts), values.bound, reads, any(map(_reads_raw, parts)))
        for parts, reads in ((event, False), (labelled, True))
        if parts
    )


def _negatable(each: Filter, values: _Values) -> str:
    positive, negative = each.operator, False
    for word in ("is not", "not "):
        if each.operator.startswith(word):
            positive, negative = (
                ("is" if word == "is not" else "") + each.operator[len(word) :],
                True,
            )
    column = COLUMNS.get(each.field)
    asked = Filter(each.field, positive, each.values)
    sql = _of_property(asked, values) if column is None else _of_column(asked, column, values)
    return f"{'NOT ' if negative else ''}coalesce(({sql}), false)"


# ---- columns ---------------------------------------------------------------------------------


def _of_column(each: Filter, column: Column, values: _Values) -> str:
    if each.operator == "exists":
        return f"{column.text} IS NOT NULL"
    if column.kind == "time" and each.operator not in {"starts with", "contains"}:
        instants = [f"make_timestamp({values.bind(value)})" for value in each.values]
        if each.operator in SAME:
            return f"{column.value} IN ({', '.join(instants)})"
        return f"{column.value} {COMPARE[each.operator]} {instants[0]}"
    if each.operator in COMPARE:
        number = "NULL::DOUBLE" if column.kind == "text" else column.value
        return _ordered(each, values, number, column.text)
    return _alike(each, values, column.text)


def _alike(each: Filter, values: _Values, said: str) -> str:
    """Compare a text by ``is``, ``is one of``, ``starts with`` or ``contains``."""
    bound = [values.bind(scalar_text(value)) for value in each.values]
    if each.operator in SAME:
        return f"{said} IN ({', '.join(bound)})" if len(bound) > 1 else f"{said} = {bound[0]}"
    return f"{'starts_with' if each.operator == 'starts with' else 'contains'}({said}, {bound[0]})"


def _ordered(each: Filter, values: _Values, number: str, said: str) -> str:
    """Compare by order: numbers with numbers, else texts with texts."""
    sign, value = COMPARE[each.operator], each.values[0]
    texts = f"{said} {sign} {values.bind(value)}" if isinstance(value, str) else "false"
    if isinstance(value, str) and not numeric_text(value):
        return f"({number}) IS NULL AND {texts}"
    bound = f"{values.bind(float(value))}::DOUBLE"
    if not isinstance(value, str):
        return f"({number}) {sign} {bound}"
    return f"CASE WHEN ({number}) IS NOT NULL THEN ({number}) {sign} {bound} ELSE {texts} END"


# ---- properties ------------------------------------------------------------------------------


def _of_property(each: Filter, values: _Values) -> str:
    number = number_of_field(each.field)
    if number is None:
        return _of_json(each, values, "r.raw")
    plain = _of_number(each, values, number)
    json = _of_json(each, values, "r.line")
    return f"CASE WHEN r.shape_id IS NULL THEN {json} ELSE {plain} END"


def _of_number(each: Filter, values: _Values, number: str) -> str:
    """Compare a property of a plain row: a number, if it is there."""
    if each.operator == "exists":
        return f"({number}) IS NOT NULL"
    if each.operator in COMPARE:
        return _ordered(each, values, number, "NULL::VARCHAR")
    if each.operator in SAME and not any(numeric_text(scalar_text(v)) for v in each.values):
        return "false"
    return _alike(each, values, f"({class_text(number)})")


def _of_json(each: Filter, values: _Values, raw: str) -> str:
    found = value_sql(each.field, raw)
    if each.operator == "exists":
        likely = likely_sql(each, values.bind, raw)
        there = f"{found} IS NOT NULL"
        return there if likely is None else f"CASE WHEN {likely} THEN {there} END"
    single, element = (_of_scalar(each, values, name) for name in ("v", "u"))
    listed = f"len(list_filter(v::JSON[], lambda u: {element})) > 0"
    # The function of one argument makes that the JSON of a line is read once.
    match = f"CASE WHEN json_type(v) = 'ARRAY' THEN {listed} ELSE {single} END"
    exact = _at_once(each, values, f"list_transform([{found}], lambda v: {match})[1]", raw)
    likely = likely_sql(each, values.bind, raw)
    return exact if likely is None else f"CASE WHEN {likely} THEN {exact} END"


def _at_once(each: Filter, values: _Values, exact: str, raw: str) -> str:
    """Tell at once what has the usual type at the first place: it is all the same, and shorter."""
    place = text(places(each.field)[0])
    if each.operator not in COMPARE:
        kind, said = f"json_type({raw}, {place})", f"({raw} ->> {place})"
        alike = _alike(each, values, said)
        quick = f"CASE WHEN {kind} = 'VARCHAR' THEN {alike} ELSE {exact} END"
        if each.operator in SAME and not any(map(_ambiguous, map(scalar_text, each.values))):
            quick = f"CASE WHEN {alike} THEN true ELSE {quick} END"  # most that get here match
        return quick
    if not numeric_text(scalar_text(each.values[0])):
        return exact
    # Of all JSON only a number is one as it is written: a text has its quotation marks.
    number = f"TRY_CAST(json_extract({raw}, {place})::VARCHAR AS DOUBLE)"
    bound = f"{values.bind(float(each.values[0]))}::DOUBLE"
    return f"coalesce({number} {COMPARE[each.operator]} {bound}, {exact})"


def _ambiguous(said: str) -> bool:
    """Tell whether something else than this text may be the same once it is written."""
    return numeric_text(said) or said in {"true", "false", "null"} or said[:1] in {"[", "{", ""}


def _of_scalar(each: Filter, values: _Values, value: str) -> str:
    kind, number = f"json_type({value})", f"({value})::DOUBLE"
    if each.operator in COMPARE:
        numbers = f"CASE WHEN {kind} IN {NUMBERS} THEN {number} END"
        texts = f"CASE WHEN {kind} = 'VARCHAR' THEN ({value}) ->> '$' END"
        return _ordered(each, values, numbers, texts)
    strings = f"({value}) ->> '$'"
    if each.operator in SAME and not any(numeric_text(scalar_text(v)) for v in each.values):
        said = f"CASE WHEN {kind} IN ('VARCHAR', 'BOOLEAN') THEN {strings} END"
    else:
        said = (
            f"CASE WHEN {kind} IN ('VARCHAR', 'BOOLEAN') THEN {strings}"
            f" WHEN {kind} IN {NUMBERS} THEN {class_text(number)} END"
        )
    return _alike(each, values, said)
