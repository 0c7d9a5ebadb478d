"""A query as typed values: what `engine.query.parse` gives and `engine.query.compile` takes.

Every node that a message may have to point at carries its `place` in the query as the user wrote it
(``query.select[0].parameters.property``).
"""

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Argument",
    "Call",
    "Column",
    "Condition",
    "DriftQuery",
    "Order",
    "Query",
    "Scalar",
    "Side",
    "Source",
]

Scalar = str | float | int | bool | None
Source = Literal["inference", "enriched", "reference", "ground_truth"]


@dataclass(frozen=True, slots=True)
class Column:
    """A property, by the name that the model knows it under.

    Attributes
    ----------
    name : str
        Resolved: ``features.age``, ``labels.x``, ``city`` (a further field), or a regular name
        such as ``prediction``, ``label``, ``score``, ``inference_timestamp``; ``*`` is every row.
        In a query over a subquery, or in `order_by`: perhaps an alias of it.
    written : str
        As the query says it; the key of the answer when there is no alias.
    """

    name: str
    written: str
    place: str
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its parameters; a parameter may be a function again."""

    function: str
    parameters: "dict[str, Argument]"
    place: str
    alias: str | None = None


Argument = Column | Call | Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter; several hold together. `value` is a tuple for ``in``, None for ``NotNull``."""

    operand: Column | Call
    comparator: str
    value: Scalar | tuple[Scalar, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Order:
    """One key of the order: a column, or an alias of the select."""

    by: str
    descending: bool
    place: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query over one relation or over the rows of a subquery."""

    select: tuple[Column | Call, ...]
    source: Source = "inference"
    filter: tuple[Condition, ...] = ()
    group_by: tuple[Column | Call, ...] = ()
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    subquery: "Query | None" = None


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a drift query."""

    source: Source
    filter: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class DriftQuery:
    """A comparison of distributions, property by property."""

    properties: tuple[Column, ...]
    metric: str = "PSI"
    num_bins: int = 10
    base: Side = field(default_factory=lambda: Side("reference"))
    target: Side = field(default_factory=lambda: Side("inference"))
    group_by: tuple[Column, ...] = ()
    rollup: str | None = None
