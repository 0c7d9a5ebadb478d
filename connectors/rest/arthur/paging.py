"""Pages as this contract tells them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from engine.listed.pages import Listed, Page

__all__ = ["PageNumber", "PageSize", "Paging", "page_schema", "paged"]

_PAGES_MAX = 1_000_000_000
_SIZE_MAX = 1_000

PageNumber = Annotated[int, Field(ge=1, le=_PAGES_MAX, description="From 1.")]
PageSize = Annotated[int, Field(ge=1, le=_SIZE_MAX, description="Most rows of a page.")]


class Paging(BaseModel):
    """The parameters of a list, to which those of one contract's list are added.

    Whatever is not among them is refused, so that nothing is passed over in silence.
    """

    model_config = ConfigDict(extra="forbid")

    page: PageNumber = 1
    page_size: PageSize = 20

    @property
    def asked(self) -> Page:
        """The page that is asked for."""
        return Page(self.page, self.page_size)


def paged(
    found: Listed, tell: Callable[[Mapping[str, Any]], dict[str, Any]], key: str = "data"
) -> dict[str, Any]:
    """Tell a page."""
    return {
        key: [tell(row) for row in found.rows],
        "page": found.page.number,
        "page_size": found.page.size,
        "total_pages": found.pages,
        "total_count": found.total,
    }


def page_schema(row: Mapping[str, Any], key: str = "data") -> dict[str, Any]:
    """Give the schema of a page, from that of a row."""
    whole = {"type": "integer"}
    counts = dict.fromkeys(("page", "page_size", "total_pages", "total_count"), whole)
    return {
        "type": "object",
        "required": [key, *counts],
        "properties": {key: {"type": "array", "items": dict(row)}, **counts},
    }
