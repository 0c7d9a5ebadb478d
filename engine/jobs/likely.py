"""SQL that tells by the bytes of a line that it cannot pass a filter: its JSON is not read.

Looking for a text takes 10 ns a line and a regular expression 130, reading JSON 300 to 800. What is
looked for begins with no quotation mark, as DuckDB tries every place that begins like it. Lines
with a backslash, where texts and keys may be written otherwise, are always read.

>>> at_least(899)
'[1-9][0-9]{3}|[9-9][0-9]{2}|899'
>>> at_most(31)
'[0-9]|[0-2][0-9]|3[0-0]|31'
"""

import math
from collections.abc import Callable, Sequence

from engine.jobs.questions import Filter, Scalar, numeric_text
from engine.values import number_text

__all__ = ["COMPARE", "SAME", "at_least", "at_most", "likely_sql", "scalar_text"]

COMPARE = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
"""The operators of order, and SQL's signs for them."""

SAME = ("is", "is one of")

_MOST = 8  # looking for more texts costs more than reading the JSON
_GREATEST = 1e15  # doubles up to it lie less than one apart
_NUMBER_SIGNS = frozenset("0123456789.e+-")
_TRUTHS = ("true", "false")  # written as their texts
_BACKSLASH = "\\"
_POWER = "-?[0-9.]+[eE]"  # whatever its digits say


def likely_sql(each: Filter, bind: Callable[[str], str], raw: str) -> str | None:
    """Give SQL, true of every row ``r`` that matches; None: nothing can be told.

    Parameters
    ----------
    each : Filter
        On a property, with an operator that is not negated.
    bind : callable
        Gives the name, in SQL, of a text.
    raw : str
        SQL of the JSON of the row.
    """
    pattern, texts = _told(each)
    found = [] if pattern is None else [f"regexp_matches({raw}, {bind(pattern)})"]
    found += [f"contains({raw}, {bind(each)})" for each in texts]
    return " OR ".join([*found, f"contains({raw}, {bind(_BACKSLASH)})"]) if found else None


def _told(each: Filter) -> tuple[str | None, list[str]]:
    """Give a pattern, and texts, one of which is in every line that matches; none: all are read."""
    key = each.field.rpartition(".")[2]  # ends the last key of every place
    if each.operator in COMPARE:
        behind = _ordered(each.operator, each.values[0])
        return (None if behind is None or not _plain(key) else _behind(key, [behind])), []
    if each.operator == "exists":
        return None, [f'{key}"'] if _plain(key) else []
    said = [scalar_text(value) for value in each.values]
    if len(said) > _MOST or not all(map(_plain, said)):
        return None, []
    if each.operator not in SAME:
        # What a number's text could hold tells nothing.
        return None, [] if any(map(_NUMBER_SIGNS.issuperset, said)) else said
    numbers = [one for one in said if numeric_text(one)]
    if numbers and (not _plain(key) or any(abs(float(one)) >= _GREATEST for one in numbers)):
        return None, []
    pattern = _behind(key, list(map(_equal, numbers))) if numbers else None
    others = [one for one in said if not numeric_text(one)]
    return pattern, [one if one in _TRUTHS else f'{one}"' for one in others]


def scalar_text(value: Scalar) -> str:
    """Give the class text of a value.

    >>> scalar_text(1.0), scalar_text(True), scalar_text("1.0")
    ('1', 'true', '1.0')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else number_text(value)


def at_least(whole: int) -> str:
    """Give a pattern of what begins every whole number, from 1, that is at least this one."""
    said = str(whole)
    found = [f"[1-9][0-9]{{{len(said)}}}"]
    for index, digit in enumerate(said):
        if digit != "9":
            found.append(f"{said[:index]}[{int(digit) + 1}-9]{_digits(len(said) - index - 1)}")
    return "|".join([*found, said])


def at_most(whole: int) -> str:
    """Give a pattern of all whole numbers, from 0, that are at most this one."""
    said = str(whole)
    found = [_digits(length) for length in range(1, len(said))]
    for index, digit in enumerate(said):
        if digit != "0":
            found.append(f"{said[:index]}[0-{int(digit) - 1}]{_digits(len(said) - index - 1)}")
    return "|".join([*found, said])


def _digits(count: int) -> str:
    return "" if count == 0 else "[0-9]" if count == 1 else f"[0-9]{{{count}}}"


def _plain(said: str) -> bool:
    """Tell whether a text is the same within JSON wherever there is no backslash."""
    return bool(said) and not any(sign < " " or sign in '"\\' for sign in said)


def _behind(key: str, patterns: Sequence[str]) -> str:
    """Give a pattern of a key with one of some values."""
    literal = "".join(
        sign if sign.isascii() and sign.isalnum() else f"\\x{{{ord(sign):x}}}" for sign in key
    )
    return rf'{literal}"\s*:\s*(?:{"|".join(patterns)})'


def _equal(said: str) -> str:
    """Give a pattern of what has the class text of a number, lists included."""
    amount = abs(float(said))
    near = range(max(math.ceil(amount) - 1, 0), math.floor(amount) + 2)
    quoted = said.replace("+", "[+]").replace(".", "[.]")
    return rf'-?(?:{"|".join(map(str, near))})[^0-9]|{_POWER}|\[|"{quoted}"'


def _ordered(operator: str, value: Scalar) -> str | None:
    """Give a pattern of what may stand behind the key, lists included; None: too much may.

    A number's text may lie on the other side of the operand than its double: hence the next whole
    number, too.
    """
    if isinstance(value, str) and not numeric_text(value):
        return r'"|\['
    amount, more = float(value), '|"' if isinstance(value, str) else ""
    if abs(amount) >= _GREATEST:
        return None
    least = math.ceil(abs(amount)) - 1
    if operator in {"gt", "gte"}:
        if amount <= 0 or least < 1:
            return None
        found = at_least(least)
    elif amount < 0:
        found = f"-(?:{at_least(least)})" if least > 0 else "-"
    else:
        found = f"-|(?:{at_most(math.floor(amount) + 1)})[^0-9]"
    return rf"{found}|{_POWER}|\[{more}"
