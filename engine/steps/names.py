"""What names and ids a request about step metrics may carry, and how numbers leave in JSON.

The name rule is that of the REST contract; a line of an event stream may use any name of 1 to 256
characters, and such a name is found by every query.
"""

import math
import re

from engine.errors import QueryError
from engine.values import MAX_NAME, shown

__all__ = ["id_text", "json_id", "json_value", "metric_name"]

# A lone underscore is refused, a lone letter is not: the pattern that Dioptra publishes.
_NAME = re.compile(r"[A-Za-z]|[A-Za-z_][A-Za-z0-9_]+")
_DECIMAL = re.compile(r"0|-?[1-9][0-9]*")


def metric_name(name: object) -> str:
    """Give a name to log under, checked.

    Raises
    ------
    QueryError
        If it is no letter or underscore followed by letters, digits and underscores (ASCII, up to
        256 characters), or a lone underscore.

    Examples
    --------
    >>> metric_name("val_loss")
    'val_loss'
    """
    if not isinstance(name, str) or len(name) > MAX_NAME or _NAME.fullmatch(name) is None:
        rule = "a letter or underscore, then letters, digits and underscores, and not `_` alone"
        msg = f"`name` must be {rule}, got {_told(name)}"
        raise QueryError(msg)
    return name


def id_text(value: object, where: str) -> str:
    """Give an id as text: a string of 1 to 256 characters, or an integer.

    Raises
    ------
    QueryError
        If it is neither.

    Examples
    --------
    >>> id_text(7, "job_id"), id_text("7", "job_id")
    ('7', '7')
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and 0 < len(text.lstrip("-") or text) <= MAX_NAME and _unicode(text):
        return text
    msg = f"`{where}` must be a string of 1 to {MAX_NAME} characters or an integer,"
    msg += f" got {_told(value)}"
    raise QueryError(msg)


def json_id(text: str) -> int | str:
    """Give an id as it leaves in JSON: an integer where its text is that of one.

    >>> json_id("7"), json_id("007")
    (7, '007')
    """
    return int(text) if _DECIMAL.fullmatch(text) else text


def json_value(value: float) -> float | str:
    """Give a number as it leaves in JSON: `nan`, `inf` and `-inf` as strings, which `float` reads.

    >>> json_value(0.5), json_value(float("-inf"))
    (0.5, '-inf')
    """
    return value if math.isfinite(value) else str(value)


def _unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _told(value: object) -> str:
    plain = isinstance(value, str | int | float | None)
    return shown(value if plain else repr(value))
