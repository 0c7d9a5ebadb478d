"""A question for plot data out of words: the parameters of a request or of a command.

Clients send the word null, or nothing, where they mean no value, and parameters of their own; both
are passed over (wire.md, Scale).
"""

import re
from collections.abc import Mapping, Sequence

from engine.errors import QueryError
from engine.processing.plot import PlotQuestion
from engine.processing.plot_pages import PAGE_SIZE

__all__ = ["page_words", "question_of"]

_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NOTHING = ("", "null")

Words = Mapping[str, Sequence[str]]


def question_of(catalogue: str, told: Words, now_us: int) -> PlotQuestion:
    """Read a question; of what may be there once, the last word counts.

    Parameters
    ----------
    catalogue : str
    told : mapping of str to sequence of str
        ``page``, ``page_size``, ``started``, ``ended``, ``choice_id``, ``column`` and ``group``;
        others are passed over.
    now_us : int
        Microseconds since the epoch.

    Raises
    ------
    QueryError
        A number is none.

    >>> asked = question_of("errors", {"page_size": ["null"], "group": ["null", "overview"]}, 0)
    >>> asked.page_size, asked.groups
    (100, ('overview',))
    """
    page, page_size = page_words(told)
    return PlotQuestion(
        catalogue=catalogue,
        now_us=now_us,
        columns=tuple(_words(told, "column")),
        groups=tuple(_words(told, "group")),
        choice_ids=tuple(_number("choice_id", word) for word in _words(told, "choice_id")),
        started=_last(told, "started"),
        ended=_last(told, "ended"),
        page=page,
        page_size=page_size,
    )


def page_words(told: Words) -> tuple[int, int]:
    """Read ``page`` and ``page_size``: 1 and 100 where nothing is said.

    Raises
    ------
    QueryError
        One of them is no whole number.
    """
    page, size = _last(told, "page"), _last(told, "page_size")
    return (
        1 if page is None else _number("page", page),
        PAGE_SIZE if size is None else _number("page_size", size),
    )


def _words(told: Words, name: str) -> list[str]:
    return [word for word in told.get(name, ()) if word not in _NOTHING]


def _last(told: Words, name: str) -> str | None:
    words = _words(told, name)
    return words[-1] if words else None


def _number(name: str, word: str) -> int:
    if not _WHOLE.fullmatch(word):
        msg = f"`{name}` must be a whole number, got {word[:80]}"
        raise QueryError(msg)
    return int(word)
