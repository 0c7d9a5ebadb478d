"""Pages of a list: which entries a request asks for, and the envelope around them.

`index` counts pages, as the server of the published Dioptra client cuts them: entry
`index * page_length` is the first. Its envelope links to entries instead, so a client that follows
it jumps over rows. Here `first`, `next` and `prev` carry what the cut understands, a page number:
a client that counts pages and one that follows `next` both see every entry once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from engine.errors import QueryError
from engine.values import shown

__all__ = ["LONGEST_PAGE", "Page", "check_page"]

LONGEST_PAGE = 1000
_LAST_INDEX = 2**53  # times a page's length it still fits in 64 bits


class _Entry(Protocol):
    def to_json(self) -> dict[str, object]: ...


T = TypeVar("T", bound=_Entry)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes
    ----------
    index : int
        Number of the page, from 0.
    page_length : int
        Entries a page, 1 to 1000; the last one may have fewer.
    total : int
        Entries in all pages together.
    data : tuple
        The entries of this page; none behind the last one.
    """

    index: int
    page_length: int
    total: int
    data: tuple[T, ...]

    @property
    def is_complete(self) -> bool:
        """Whether no entry comes after this page."""
        return (self.index + 1) * self.page_length >= self.total

    @property
    def next_index(self) -> int | None:
        """The `index` to ask for next, None at the end."""
        return None if self.is_complete else self.index + 1

    @property
    def prev_index(self) -> int | None:
        """The `index` before this one, that of the last page with entries where this is beyond."""
        last = max(0, (self.total - 1) // self.page_length)
        return None if self.index == 0 else min(self.index - 1, last)

    def to_json(self, link: Callable[[int], str]) -> dict[str, object]:
        """Give the envelope with its entries.

        Parameters
        ----------
        link : callable
            Gives the address of the page with an index.
        """
        found: dict[str, object] = {
            "index": self.index,
            "isComplete": self.is_complete,
            "totalNumResults": self.total,
            "first": link(0),
        }
        for name, index in (("next", self.next_index), ("prev", self.prev_index)):
            if index is not None:
                found[name] = link(index)
        return found | {"data": [entry.to_json() for entry in self.data]}


def check_page(index: object, page_length: object) -> tuple[int, int]:
    """Give index and length of a page, checked.

    Raises
    ------
    QueryError
        If the index is no whole number from 0, or the length none from 1 to 1000.
    """
    if type(index) is not int or not 0 <= index <= _LAST_INDEX:
        msg = f"`index` must be a whole number from 0, got {_told(index)}"
        raise QueryError(msg)
    if type(page_length) is not int or not 1 <= page_length <= LONGEST_PAGE:
        msg = f"`page_length` must be a whole number from 1 to {LONGEST_PAGE},"
        msg += f" got {_told(page_length)}"
        raise QueryError(msg)
    return index, page_length


def _told(value: object) -> str:
    return shown(value if isinstance(value, str | int | float | None) else repr(value))
