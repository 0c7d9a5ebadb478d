"""Fields by column: ids, classes, numbers and instants, and where each keeps its rule.

Where a rule is broken, or too rare to be worth a column, the flag is off: `engine.strict` decides.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.arrays import Array, Doubles, Flags, Ints, Text, doubles, flags, validity
from engine.instants import isos_us, millis_us
from engine.values import MAX_NAME, number_text

__all__ = [
    "classes",
    "identifiers",
    "milliseconds",
    "number_texts",
    "numbers",
    "readings",
    "scalars",
    "steps",
    "strings",
    "timestamps",
]

_SPECIAL = ['"nan"', '"inf"', '"-inf"']
_DIGITS = 18  # of a whole number that 63 bits hold, whatever they are


def timestamps(column: Text, latest_us: int | None) -> tuple[Ints, Flags]:
    """Return instants in microseconds, and where they are allowed ones."""
    us, fine = np.zeros(len(column.texts), np.int64), np.zeros(len(column.texts), np.bool_)
    rows = np.flatnonzero(column.number)
    if len(rows):
        us[rows], fine[rows] = _milliseconds(column, rows)
    rows = np.flatnonzero(column.string)
    if len(rows):
        us[rows], fine[rows] = isos_us(column.bare().take(pa.array(rows)))
    if latest_us is not None:
        fine &= us <= latest_us
    return us, fine


def milliseconds(column: Array, latest_us: int | None) -> tuple[Ints, Flags]:
    """Return instants of doubles in microseconds, and where they are allowed ones."""
    us, fine = millis_us(doubles(column))
    fine &= validity(column)
    if latest_us is not None:
        fine &= us <= latest_us
    return us, fine


def _milliseconds(column: Text, rows: Ints) -> tuple[Ints, Flags]:
    chosen = column.texts if len(rows) == len(column.texts) else column.texts.take(pa.array(rows))
    try:
        whole = np.asarray(chosen.cast(pa.int64()))
    except pa.ArrowInvalid:
        # Fractions, or beyond 64 bits. Whole numbers to 2^53 are exact as doubles, and the years
        # end far below that.
        return millis_us(column.doubles(rows))
    fine = np.abs(whole) < 2**53
    us, inside = millis_us(np.where(fine, whole, 0).astype(np.float64))
    return us, fine & inside


def identifiers(column: Text) -> tuple[Array, Flags]:
    """Return ids as strings, and where they are ids or null; longer texts are not counted here."""
    fine = strings(column)
    rows = np.flatnonzero(column.number)
    if len(rows):
        chosen = column.texts.take(pa.array(rows))
        whole = pc.match_substring_regex(chosen, f"^-?[0-9]{{1,{MAX_NAME}}}$")
        fine[rows] = flags(whole)
    return column.bare(), fine


def classes(column: Text) -> tuple[Array, Array, Flags]:
    """Return class texts, numbers, and where the value is a class or null."""
    fine = strings(column)
    fine |= column.boolean
    texts, rows = column.bare(), np.flatnonzero(column.number)
    if not len(rows):
        return texts, pa.nulls(len(texts), pa.float64()), fine
    values = column.doubles(rows)
    shown, fine[rows] = number_texts(values, texts.take(pa.array(rows)))
    found = np.zeros(len(texts))
    found[rows] = values
    texts = pc.replace_with_mask(texts, pa.array(column.number), shown)
    return texts, pa.array(found, mask=~column.number), fine


def number_texts(values: Doubles, texts: Array) -> tuple[Array, Flags]:
    """Return `number_text` of a column, and where it is finite.

    `texts` are the numbers as DuckDB writes them, or None. Both write the shortest digits that
    tell the number; they differ on exponents only.
    """
    finite = np.isfinite(values)
    size = np.abs(np.where(finite, values, 0.0))
    whole = finite & (np.floor(size) == size) & (size < 2**53)
    shown = pa.array(np.where(whole, values, 0.0).astype(np.int64)).cast(pa.string())
    plain = finite & ~whole & (size >= 1e-4) & (size < 2**53)
    if texts is None:
        plain = np.zeros(len(values), np.bool_)
    elif plain.any():
        shown = pc.if_else(pa.array(plain), texts, shown)
    odd = finite & ~whole & ~plain
    if odd.any():
        written = pa.array([number_text(value) for value in values[odd].tolist()], pa.string())
        shown = pc.replace_with_mask(shown, pa.array(odd), written)
    return shown, finite


def numbers(column: Text) -> tuple[Array, Flags]:
    """Return the numbers of a column of scalars, null for all others, and where they are finite."""
    values, fine = np.zeros(len(column.texts)), np.ones(len(column.texts), np.bool_)
    rows = np.flatnonzero(column.number)
    if len(rows):
        values[rows] = column.doubles(rows)
        fine = np.isfinite(values)
    return pa.array(values, mask=~column.number), fine


def scalars(column: Text) -> Flags:
    """Return where a value is a string, a boolean, a finite number or null."""
    return (column.string | column.boolean | column.number | ~column.valid) & numbers(column)[1]


def strings(column: Text) -> Flags:
    """Return where a value is a string or null; longer texts are not counted here."""
    return (column.string & (column.sizes > 2) & (column.sizes <= MAX_NAME + 2)) | ~column.valid


def steps(column: Text) -> Flags:
    """Return where a value is a whole number from 0, or null; larger ones are not counted here."""
    digits: Array = pc.ascii_is_decimal(column.texts)
    return (flags(digits.fill_null(fill_value=False)) & (column.sizes <= _DIGITS)) | ~column.valid


def readings(column: Text) -> Flags:
    """Return where a value is a finite number, or one of the three texts for others, or null."""
    fine = (column.number & numbers(column)[1]) | ~column.valid
    if column.string.any():
        fine |= flags(pc.is_in(column.texts, pa.array(_SPECIAL)))
    return fine
