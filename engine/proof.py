"""Which lines hold what `from_json` answered and nothing else: a proof by quotation marks.

DuckDB's `from_json` is fast and forgiving: it takes the first of two equal keys, skips keys that
the structure lacks, reads the string "1.5" and `true` as doubles, gives null for what it cannot
convert, and allows ``NaN``, ``Infinity``, 1e400 and trailing commas. So its answer is believed only
for a line that is provably clean, and `engine.strict` reads all others.

The proof counts quotation marks. In a line without backslash each string has exactly two of them,
so a valid line has ``2 * (keys + string values)``, counted over all levels. From the answer we know
F, the fields that came back non-null (the containers among them), each of which has one key of its
own, and S, those of type JSON whose text begins with a quotation mark. Always keys >= F and string
values >= S, and each way to be unclean adds and never subtracts: an unknown or repeated key, a null
value, a value that gave null by failing to convert, is a key beyond F; a string given for a double,
or anywhere inside an array or an object, is a string value beyond S. Hence
``marks == 2 * (F + S)`` proves that the line has no key and no string but those we were given. What
is left needs no marks and is looked for on its own: commas before a closing brace and booleans for
doubles here; numbers that are not finite, arrays and objects where a scalar is due (their text
begins with a bracket), and a container that is no object (it comes back without a member) by those
who know the fields.

Nulls are common (``"label": null``), so lines with marks to spare are tried again: `engine.nulls`
adds the keys whose value is a literal null, each proven to stand nowhere else in its line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.arrays import Array, Flags, Ints, doubles
from engine.lines import Lines, booleans, quotes_before, suspects
from engine.nulls import null_keys

__all__ = ["Answered", "Marks", "proven"]


@dataclass(frozen=True, slots=True)
class Marks:
    """What the bytes of a block tell of each of its lines, found once.

    Attributes
    ----------
    quotes : int64, shape (n,)
        Quotation marks in the line.
    suspect : bool, shape (n,)
        The line has a backslash, or a comma before a closing brace.
    """

    quotes: Ints
    suspect: Flags

    @classmethod
    def of(cls, lines: Lines) -> "Marks":
        """Scan the block's bytes."""
        places = np.append(lines.starts, len(lines.data))
        return cls(np.diff(quotes_before(lines, places)), suspects(lines))


class Answered(Protocol):
    """What `from_json` gave for some lines, as the proof needs it."""

    def marks(self) -> Ints:
        """Return the quotation marks that a clean line with this answer has."""

    def present(self, name: str) -> Flags:
        """Return where a field of this name has a value, at whatever level."""

    def numbers(self) -> Sequence[Array]:
        """Return the columns of type DOUBLE."""

    def booleans(self) -> Ints:
        """Count the booleans among the values of type JSON."""

    def groups(self) -> Ints:
        """Return a number for each line; lines of one number are likely to have the same nulls."""


def proven(answer: Answered, lines: Lines, marks: Marks, rows: Ints) -> tuple[Flags, Flags]:
    """Return which lines are clean by the proof at the top of this room, and which have no null.

    Parameters
    ----------
    answer : Answered
        For the lines `rows`.
    lines, marks : Lines, Marks
        The block's lines.
    rows : int64, shape (n,)
        The lines asked for, ascending.
    """
    spare = marks.quotes[rows] - answer.marks()
    fine, bare = ~marks.suspect[rows], spare == 0
    todo = np.flatnonzero(fine & (spare > 0))
    if len(todo):
        groups = answer.groups()[todo]
        for group in np.unique(groups).tolist():
            _spend(answer, lines, rows, todo[groups == group], spare)
    fine &= spare == 0
    # A boolean where a double is due needs no marks, and gives exactly 0 or 1.
    bits = np.zeros(len(rows), np.bool_)
    for array in answer.numbers():
        values = doubles(array)
        bits |= (values == 0.0) | (values == 1.0)
    doubtful = np.flatnonzero(fine & bits)
    if len(doubtful):
        found = booleans(lines, rows[doubtful])
        fine[doubtful] = found == answer.booleans()[doubtful]
    return fine, bare


def _spend(answer: Answered, lines: Lines, rows: Ints, some: Ints, spare: Ints) -> None:
    """Take the marks of certain nulls from those that `some` of the rows have to spare."""
    nulls = null_keys(lines, rows[some], lambda name: answer.present(name)[some])
    spare[some] -= np.where(nulls.certain, 2 * nulls.count, 0)
