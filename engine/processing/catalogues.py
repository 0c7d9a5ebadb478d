"""The catalogues there are: a list by pages, and one of them with its choices.

Source: contracts.md SC-01 to SC-15; SCi-06.
"""

from dataclasses import dataclass
from typing import Any

import duckdb

from engine.errors import NotFoundError
from engine.processing.builtin import BUILTIN
from engine.processing.catalogue import Catalogue
from engine.processing.catalogue_offer import Offer
from engine.processing.choices import choices
from engine.processing.declared import declared_offers
from engine.processing.plot_pages import PAGE_SIZE, Page, page_of
from engine.processing.seeing import Seeing
from engine.processing.series import SERIES

__all__ = ["CatalogueDetails", "CataloguePage", "catalogues", "details", "offer_of"]


@dataclass(frozen=True, slots=True)
class CataloguePage:
    """A page of the list."""

    page: Page
    catalogues: tuple[Catalogue, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what the contract calls `count` and `results`."""
        return {"count": self.page.count, "results": [one.to_json() for one in self.catalogues]}


@dataclass(frozen=True, slots=True)
class CatalogueDetails:
    """A catalogue and what its values can be narrowed to; every filter is a field of a choice."""

    catalogue: Catalogue
    choices: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Give both as one object."""
        return {**self.catalogue.to_json(), "choices": list(self.choices)}


def catalogues(
    cursor: duckdb.DuckDBPyConnection,
    page: int = 1,
    page_size: int = PAGE_SIZE,
    seeing: Seeing | None = None,
) -> CataloguePage:
    """List the catalogues: those of processing, the engine's own series, then the declared ones.

    `seeing` is what the asker may see; None: everything.

    Raises
    ------
    QueryError
        `page` or `page_size` is less than 1.
    NotFoundError
        The page is past the end.
    """
    found = list(_offers(cursor, seeing).values())
    shown = page_of(len(found), page, page_size)
    return CataloguePage(shown, tuple(one.catalogue for one in found[shown.first : shown.stop]))


def details(
    cursor: duckdb.DuckDBPyConnection, name: str, seeing: Seeing | None = None
) -> CatalogueDetails:
    """Give a catalogue with its choices.

    Raises
    ------
    NotFoundError
        There is none of this name.
    """
    offer = offer_of(cursor, name, seeing)
    return CatalogueDetails(offer.catalogue, tuple(choices(cursor, offer, seeing)))


def offer_of(cursor: duckdb.DuckDBPyConnection, name: str, seeing: Seeing | None = None) -> Offer:
    """Give a catalogue with its source.

    Raises
    ------
    NotFoundError
        There is none of this name.
    """
    found = _offers(cursor, seeing)
    if name not in found:
        msg = f"`name` must be one of the catalogues ({', '.join(found)}), got {name}"
        raise NotFoundError(msg)
    return found[name]


def _offers(cursor: duckdb.DuckDBPyConnection, seeing: Seeing | None) -> dict[str, Offer]:
    """Give the catalogues that there are for somebody, by name; the built-in ones come first."""
    every = {**BUILTIN, **SERIES}
    every |= {name: offer for name, offer in declared_offers(cursor).items() if name not in every}
    if seeing is None:
        return every
    return {name: offer for name, offer in every.items() if seeing.offers(offer)}
