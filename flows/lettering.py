"""Texts of a picture: names of anybody's choice, made safe, and cut to the room that there is."""

from typing import Any

__all__ = ["fit", "shown", "span_words", "tick_words", "visible"]

_MOST = 400  # characters that are looked at at all


def shown(name: str) -> str:
    r"""Give a name with whatever cannot be seen, or would move other letters, as an escape.

    >>> shown("a\nb"), shown("a\u202eb"), shown("Ümläut <b>&$x_y$")
    ('a\\x0ab', 'a\\u202eb', 'Ümläut <b>&$x_y$')
    """
    return visible(name[: 2 * _MOST])


def visible(text: str) -> str:
    r"""Give a text with the same escapes, however long it is.

    >>> visible("a\x1b[2J")
    'a\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def fit(label: Any, width_px: float, renderer: Any) -> None:
    """Take letters out of the middle of a matplotlib Text until it is no wider than that."""
    whole = label.get_text()[:_MOST]
    label.set_text(whole)
    if label.get_window_extent(renderer).width <= width_px:
        return
    low, high = 1, len(whole)
    while low < high:  # the most letters that fit
        middle = (low + high + 1) // 2
        label.set_text(_cut(whole, middle))
        if label.get_window_extent(renderer).width <= width_px:
            low = middle
        else:
            high = middle - 1
    label.set_text(_cut(whole, low))


def _cut(whole: str, letters: int) -> str:
    tail = letters // 3
    return whole[: letters - tail] + "…" + (whole[-tail:] if tail else "")


def span_words(span_s: int) -> str:
    """Give a length of time in its largest whole unit.

    >>> span_words(900), span_words(86_400), span_words(90)
    ('15 min', '1 day', '90 s')
    """
    for unit_s, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if span_s % unit_s == 0:
            many = span_s // unit_s
            return f"{many} {unit}{'s' if unit == 'day' and many > 1 else ''}"
    return f"{span_s} s"


def tick_words(value: float, largest: float) -> str:
    """Write a number beside an axis: whole, so that nothing is to be added or multiplied.

    Parameters
    ----------
    value : float
    largest : float
        The greatest size on the axis: all its numbers are written in one way.

    >>> tick_words(1_000_100.0, 2e6), tick_words(-0.25, 1.0), tick_words(0.0, 2e300)
    ('1,000,100', '-0.25', '0')
    """
    return f"{value:,.10g}" if largest < 1e10 else f"{value:.8g}"
