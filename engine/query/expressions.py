"""Properties, row functions and conditions of a query as SQL over the row ``r``.

What is compared: ``eq``, ``ne`` and ``in`` go by class text, so that 32 equals 32.0 and a boolean
its word; a number property by number, which is the same. ``gt`` and its like go by number when the
value is one, else by text in order of code points; instants by time. A row that lacks the property
passes no comparator, ``ne`` neither.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from engine.instants import iso_us, milliseconds_us
from engine.panes import text as literal
from engine.query.columns import IDENTIFIERS, TIMES, class_text
from engine.query.names import ModelNames
from engine.query.plan import Columns
from engine.query.tree import Argument, Call, Column, Condition, Scalar
from engine.values import number_text

__all__ = ["Kind", "Scope", "kind_of", "truths_among"]

Kind = Literal["number", "text", "mixed", "time"]
Value = Scalar | tuple[Scalar, ...]

_SIGNS = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(TIMES, "time"),
    **dict.fromkeys(IDENTIFIERS, "text"),
    "score": "number",
    "prediction": "mixed",
    "label": "mixed",
}
_ROW_KINDS: dict[str, Kind] = {
    "abs": "number",
    "roundTimestamp": "time",
    "labelByMaxColumn": "text",
}


def kind_of(argument: Argument, types: Mapping[str, Kind]) -> Kind:
    """Tell the type of a column or of a row function; what is not in `types` may be of any."""
    if isinstance(argument, Call):
        return _ROW_KINDS.get(argument.function, "mixed")
    if not isinstance(argument, Column):
        return "number"
    return types.get(argument.name) or _KINDS.get(argument.name, "mixed")


def truths_among(properties: Iterable[str]) -> tuple[str, ...]:
    """Give the truths among resolved names: ``label``, and `x` of ``labels.x``.

    >>> truths_among(["labels.x", "features.age", "ground_truth_timestamp", "label"])
    ('x', 'label')
    """
    return tuple(
        dict.fromkeys(
            "label" if name in ("label", "ground_truth_timestamp") else name[len("labels.") :]
            for name in properties
            if name in ("label", "ground_truth_timestamp") or name.startswith("labels.")
        )
    )


class Scope:
    """Writes SQL, and keeps what it binds and which properties it reads.

    Parameters
    ----------
    names : ModelNames
        Types, classes and thresholds of the model.
    columns : Columns
        Of the relation under ``r``.
    prefix : str
        Begins the names of the parameters.
    types : mapping of str to str, optional
        Of the columns of the relation; the model's properties where it is left out.

    Attributes
    ----------
    names, columns : ModelNames, Columns
        As given.
    parameters : dict of str to object
        Bound values by name.
    properties : tuple of str
        Resolved names that were read, in order.
    """

    def __init__(
        self,
        names: ModelNames,
        columns: Columns,
        prefix: str = "p",
        types: Mapping[str, Kind] | None = None,
    ) -> None:
        self.names = names
        self.parameters: dict[str, object] = {}
        self.columns = columns
        self._prefix = prefix
        self._types = names.properties if types is None else types
        self._read: dict[str, None] = {}

    @property
    def properties(self) -> tuple[str, ...]:
        """The resolved names that were read."""
        return tuple(self._read)

    def bind(self, value: object) -> str:
        """Bind a value; gives its place in the SQL. No name begins another one."""
        name = f"{self._prefix}{len(self.parameters)}_"
        self.parameters[name] = value
        return f"${name}"

    def kind(self, argument: Argument) -> Kind:
        """Tell the type of a column or of a row function."""
        return kind_of(argument, self._types)

    def read(self, name: str, how: Literal["number", "text", "time"]) -> str:
        """Give SQL for a property by its resolved name."""
        self._read[name] = None
        return f"({getattr(self.columns, how)(name)})"

    def row(self, column: str) -> str:
        """Give SQL for a column that no property's name reaches, such as ``positive_score``."""
        return f"r.{column}"

    def number(self, argument: Argument) -> str:
        """Give SQL, DOUBLE, of a column, a row function or a plain number."""
        if isinstance(argument, Column):
            return self.read(argument.name, "number")
        if isinstance(argument, Call):
            if argument.function != "abs":
                return "NULL::DOUBLE"
            return f"abs({self.number(argument.parameters['property'])})"
        return f"{self.bind(_double(argument))}::DOUBLE"

    def text(self, argument: Argument) -> str:
        """Give SQL, VARCHAR: the class text of a column or of a row function."""
        if isinstance(argument, Column):
            return self.read(argument.name, "text")
        if isinstance(argument, Call) and argument.function == "labelByMaxColumn":
            return self._greatest(argument)
        if isinstance(argument, Call) and argument.function == "roundTimestamp":
            return f"strftime({self.time(argument)}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        return f"({class_text(self.number(argument))})"

    def time(self, argument: Argument) -> str:
        """Give SQL, TIMESTAMP, of an instant or of one rounded down."""
        if isinstance(argument, Column):
            return self.read(argument.name, "time")
        if isinstance(argument, Call) and argument.function == "roundTimestamp":
            interval = literal(str(argument.parameters["time_interval"]))
            moment = self.time(argument.parameters["property"])
            return f"date_trunc({interval}, {moment})::TIMESTAMP"
        return "NULL::TIMESTAMP"

    def _greatest(self, call: Call) -> str:
        """Name the property with the greatest number, of equals the first; NULL without any."""
        listed = call.parameters["properties"]
        found = listed if isinstance(listed, tuple) else (listed,)
        pairs = [(_name(each), self.read(_name(each), "number")) for each in found]
        cases = " ".join(
            f"WHEN {sql} = {_greatest_of([each for _, each in pairs])} THEN {literal(_bare(name))}"
            for name, sql in pairs
        )
        return f"(CASE {cases} END)"

    def condition(self, condition: Condition) -> str:
        """Give SQL, BOOLEAN; NULL or false where the row does not pass."""
        return self.compared(condition.operand, condition.comparator, condition.value)

    def compared(self, operand: Argument, comparator: str, value: Value) -> str:
        """Give SQL, BOOLEAN, of one comparison."""
        if comparator == "NotNull":
            return f"({self.present(operand)})"
        if comparator == "like":
            return f"({self.text(operand)} LIKE {self.bind(_text(value))})"
        if comparator == "in":
            values = value if isinstance(value, tuple) else (value,)
            return self._among(operand, self.kind(operand), values)
        if value is None or isinstance(value, tuple):
            return "false"
        return self._signed(operand, comparator, value)

    def _signed(self, operand: Argument, comparator: str, value: Scalar) -> str:
        kind, sign = self.kind(operand), _SIGNS[comparator]
        if kind == "time":
            return f"({self.time(operand)} {sign} {self._instant(value)})"
        if _is_number(value) and (kind == "number" or comparator not in ("eq", "ne")):
            return f"({self.number(operand)} {sign} {self.number(value)})"
        return f"({self.text(operand)} {sign} {self.bind(_text(value))})"

    def present(self, operand: Argument) -> str:
        """Give SQL, BOOLEAN: the row has the property."""
        reader: dict[Kind, Callable[[Argument], str]] = {"number": self.number, "time": self.time}
        return f"{reader.get(self.kind(operand), self.text)(operand)} IS NOT NULL"

    def _among(self, operand: Argument, kind: Kind, values: tuple[Scalar, ...]) -> str:
        wanted = [value for value in values if value is not None]
        if not wanted:
            return "false"
        if kind == "time":
            return f"({self.time(operand)} IN ({', '.join(map(self._instant, wanted))}))"
        if kind == "number" and all(map(_is_number, wanted)):
            return f"({self.number(operand)} IN ({', '.join(map(self.number, wanted))}))"
        bound = ", ".join(self.bind(_text(value)) for value in wanted)
        return f"({self.text(operand)} IN ({bound}))"

    def _instant(self, value: Scalar) -> str:
        if isinstance(value, str):
            us = iso_us(value)
        else:
            us = milliseconds_us(value) if isinstance(value, int | float) else None
        return "NULL::TIMESTAMP" if us is None else f"make_timestamp({self.bind(us)}::BIGINT)"


def _greatest_of(numbers: list[str]) -> str:
    return f"greatest({', '.join(numbers)})"  # DuckDB leaves NULL out


def _name(argument: Argument | Column) -> str:
    return argument.name if isinstance(argument, Column) else str(argument)


def _bare(name: str) -> str:
    container, dot, inner = name.partition(".")
    return inner if dot and container in ("features", "predictions", "labels", "?") else name


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _double(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _text(value: Value) -> str:
    """Give the class text of a value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, int | float) else str(value)
