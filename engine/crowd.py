"""Which names are worth a column each, where hostile lines may have as many names as they like.

A column costs a decoder time and memory for every line of every block, whether or not it is there.
The first names are taken at once; of more than that, only those met twice in a block. When somebody
was turned away, the names that no line of the block had make room at its end: a burst of names that
never come again costs the blocks that it is in, and the one behind it at most.
"""

from collections.abc import Hashable, Iterable
from typing import TypeVar

__all__ = ["AT_ONCE", "Crowd"]

AT_ONCE = 64
"""So many names are taken when they are met for the first time."""

_WAITING_MAX = 4096

Name = TypeVar("Name", bound=Hashable)


class Crowd:
    """The names of one decoder.

    >>> crowd = Crowd(256)
    >>> crowd.admits("age", 63), crowd.admits("id-7", 64), crowd.admits("id-7", 64)
    (True, False, True)
    >>> crowd.meet(["city"])
    >>> crowd.leaving(["age", "city", "id-3", "id-7"])
    ['id-3']

    Parameters
    ----------
    most : int
        More names than this are never taken.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._met: set[Hashable] = set()
        self._once: set[Hashable] = set()
        self._turned_away = False

    def admits(self, name: Hashable, known: int) -> bool:
        """Tell whether a name that is met may be taken beside `known` others."""
        if known < AT_ONCE or (known < self._most and name in self._once):
            self._met.add(name)
            return True
        self._turned_away = True
        if len(self._once) < _WAITING_MAX:
            self._once.add(name)
        return False

    def meet(self, names: Iterable[Hashable]) -> None:
        """Note that lines of the block have these names."""
        self._met.update(names)

    def leaving(self, names: Iterable[Name]) -> list[Name]:
        """Give those of the names that should make room; at the end of a block."""
        gone = [name for name in names if name not in self._met] if self._turned_away else []
        self._met.clear()
        self._once.clear()
        self._turned_away = False
        return gone
