"""The settings of catalogues of plot data, as frozen values."""

from dataclasses import dataclass

__all__ = [
    "CatalogueColumn",
    "CatalogueGroup",
    "CatalogueSettings",
    "Catalogues",
    "ChoiceSettings",
]


@dataclass(frozen=True, slots=True)
class CatalogueGroup:
    """Columns under one name."""

    name: str
    title: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogueColumn:
    """A series of a catalogue.

    Attributes
    ----------
    aggregate : str
        ``sum``, ``avg``, ``min`` or ``max`` of `field`, or ``count`` of the events, those that have
        `field` if it is given.
    where : tuple of (str, tuple of str)
        Only events whose field is one of these values, for every field named.
    """

    name: str
    units: str
    aggregate: str
    title: str | None = None
    description: str | None = None
    group: str | None = None
    field: str | None = None
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogueSettings:
    """A catalogue of one's own.

    Attributes
    ----------
    type : str
        ``run``, ``ingest``, ``metric`` or ``prediction``: whose events.
    choice : tuple of str
        The fields that tell one choice from another.
    filters : tuple of str
        Those of `choice` that clients may narrow choices by.
    """

    name: str
    type: str
    choice: tuple[str, ...]
    columns: tuple[CatalogueColumn, ...]
    title: str | None = None
    description: str | None = None
    filters: tuple[str, ...] = ()
    groups: tuple[CatalogueGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class ChoiceSettings:
    """What no event says of a choice of a built-in catalogue.

    Attributes
    ----------
    attributes : tuple of (str, str or bool)
        Such as ``title``, ``icon_code`` and ``is_active``.
    """

    catalogue: str
    name: str
    version: str | None = None
    attributes: tuple[tuple[str, str | bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogues:
    """The section as a whole."""

    declared: tuple[CatalogueSettings, ...] = ()
    choices: tuple[ChoiceSettings, ...] = ()
