"""A catalogue together with the source of its values and what a choice of it shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.processing.catalogue import Catalogue
from engine.processing.series_source import Source

__all__ = ["Offer"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A catalogue that can be asked for.

    Attributes
    ----------
    catalogue : Catalogue
    source : Source
    defaults : Mapping
        What a choice shows beside its id and fields where nothing else is declared.
    titled : tuple of str
        The fields that make the title, and the name of a choice without a field of that name;
        none: all fields.
    """

    catalogue: Catalogue
    source: Source
    defaults: Mapping[str, object] = field(default_factory=dict)
    titled: tuple[str, ...] = ()
