"""Pages of a list, as Scale counts them: page and page size, from 1 on."""

from dataclasses import dataclass

from engine.errors import NotFoundError, QueryError

__all__ = ["PAGE_SIZE", "PAGE_SIZE_MAX", "Page", "page_of"]

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """One page of `count` entries: those from `first` up to `stop`, counted from 0.

    Attributes
    ----------
    next, previous : int or None
        Numbers of the pages beside it, where there are such.
    """

    count: int
    number: int
    size: int

    @property
    def first(self) -> int:
        """The place of the first entry."""
        return (self.number - 1) * self.size

    @property
    def stop(self) -> int:
        """The place behind the last entry."""
        return min(self.first + self.size, self.count)

    @property
    def next(self) -> int | None:
        """The number of the next page."""
        return self.number + 1 if self.stop < self.count else None

    @property
    def previous(self) -> int | None:
        """The number of the page before."""
        return self.number - 1 if self.number > 1 else None


def page_of(count: int, page: int, page_size: int) -> Page:
    """Give a page; one of more than 1,000 entries is cut to so many, and the first may be empty.

    Raises
    ------
    QueryError
        `page` or `page_size` is less than 1.
    NotFoundError
        The page is past the end.

    Source: SC-03, SC-04; wire.md, Scale.

    >>> page = page_of(250, 2, 100)
    >>> (page.first, page.stop, page.next, page.previous)
    (100, 200, 3, 1)
    """
    for name, value in (("page", page), ("page_size", page_size)):
        if value < 1:
            msg = f"`{name}` must be at least 1, got {value}"
            raise QueryError(msg)
    found = Page(count, page, min(page_size, PAGE_SIZE_MAX))
    if page > 1 and found.first >= count:
        last = max(-(-count // found.size), 1)
        msg = f"`page` must be at most {last}, got {page}"
        raise NotFoundError(msg)
    return found
