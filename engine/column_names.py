"""Names for the columns of a relation whose columns stand for properties, whatever their names.

DuckDB holds two columns to be one when their names differ in the case of ASCII letters only, and
Arrow cuts a name at its first NUL: a property's own name would give another one's values, or none.
"""

import re

__all__ = ["column_name"]

_UNSAFE = re.compile(r"[A-Z^\x00]")


def column_name(kind: str, name: str) -> str:
    r"""Return the column of a property; no two have the same, whatever the case.

    >>> column_name("n", "features.Age"), column_name("n", "features.^a"), column_name("t", "\x00")
    ('n:features.^age', 'n:features.^^a', 't:^0')
    """
    return f"{kind}:{_UNSAFE.sub(_escaped, name)}"


def _escaped(found: re.Match[str]) -> str:
    letter = found.group()
    return "^0" if letter == "\0" else "^" + letter.lower()
