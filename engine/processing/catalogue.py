"""What a catalogue of plot data says of itself: its filters, groups of columns, and columns.

The shape is that of Scale's metrics services (SC-06 to SC-11), for every catalogue: the three of
processing, the engine's own series and those that the configuration declares.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import QueryError

__all__ = ["Catalogue", "Column", "Filter", "Group", "chosen_columns"]


@dataclass(frozen=True, slots=True)
class Filter:
    """A field of the choices that clients may narrow them by.

    Attributes
    ----------
    param : str
    type : str
        ``bool``, ``date``, ``datetime``, ``float``, ``int``, ``string`` or ``time``.
    """

    param: str
    type: str = "string"


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that are asked for under one name."""

    name: str
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Column:
    """One series of plot data.

    Attributes
    ----------
    units : str
        Such as ``count`` or ``seconds``.
    group : str or None
        The name of its group.
    aggregate : str
        ``sum``, ``avg``, ``min`` or ``max``: how values of one hour are put together; counts add.
    """

    name: str
    title: str
    description: str
    units: str
    group: str | None
    aggregate: str

    def to_json(self) -> dict[str, Any]:
        """Give the definition as the contract has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A catalogue of plot data, without its choices."""

    name: str
    title: str
    description: str
    filters: tuple[Filter, ...]
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the definition as the contract has it."""
        found = asdict(self)
        return {
            name: [*value] if isinstance(value, tuple) else value for name, value in found.items()
        }


def chosen_columns(
    catalogue: Catalogue, columns: Sequence[str], groups: Sequence[str]
) -> tuple[Column, ...]:
    """Give the columns asked for by name or by group: all, where neither says anything.

    They come in the order of `columns`, then of `groups`, each once. A group that there is not says
    nothing.

    Raises
    ------
    QueryError
        There is no such column.

    Source: wire.md, Scale; SCi-04.
    """
    known = {column.name: column for column in catalogue.columns}
    for name in columns:
        if name not in known:
            msg = f"`column` must be one of the columns of {catalogue.name}, got {name}"
            raise QueryError(msg)
    found = {name: known[name] for name in columns}
    for group in groups:
        found |= {
            column.name: column
            for column in catalogue.columns
            if column.group == group and column.name not in found
        }
    return tuple(found.values()) or catalogue.columns
