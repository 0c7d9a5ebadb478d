"""Arrow arrays as numpy columns, and the column of JSON values whose text tells what each was."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "Array",
    "Bytes",
    "Doubles",
    "Flags",
    "Ints",
    "Text",
    "Words",
    "bytes_of",
    "doubles",
    "flags",
    "offsets_of",
    "validity",
    "whole",
]

# The stubs of pyarrow are generic where the classes are not: an array's type is not spelt out.
Array = Any
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

_QUOTE, _MINUS, _ZERO, _NINE = 34, 45, 48, 57


def whole(column: Array) -> Array:
    """Return a table's column as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def flags(array: Array) -> Flags:
    """Return a boolean array without nulls as numpy."""
    found: Flags = np.asarray(array.cast(pa.uint8())).view(np.bool_)
    return found


def validity(array: Array) -> Flags:
    """Return where an array is not null."""
    if array.null_count == 0:
        return np.ones(len(array), np.bool_)
    return flags(array.is_valid())


def doubles(array: Array) -> Doubles:
    """Return the doubles of an array without a copy; where it is null they may be anything."""
    return np.frombuffer(array.buffers()[1] or b"", np.float64)[array.offset :][: len(array)]


def offsets_of(texts: Array) -> npt.NDArray[np.int32]:
    """Return where each text begins, and the last one ends, in `bytes_of`."""
    if not len(texts):
        return np.zeros(1, np.int32)
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]


def bytes_of(texts: Array) -> npt.NDArray[np.uint8]:
    """Return the bytes of all texts on end, at least one byte."""
    return np.frombuffer(texts.buffers()[2] or b"\0", np.uint8)


@dataclass(frozen=True, slots=True)
class Text:
    """A column of type JSON, as text; `first` is the first byte of each value, 0 where null."""

    texts: Array
    valid: Flags
    first: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int32]

    @classmethod
    def of(cls, texts: Array) -> "Text":
        """Look at each value's first byte."""
        offsets, data = offsets_of(texts), bytes_of(texts)
        valid = validity(texts)
        first = np.where(valid, data[np.minimum(offsets[:-1], len(data) - 1)], 0)
        return cls(texts, valid, first.astype(np.uint8), np.diff(offsets))

    @property
    def string(self) -> Flags:
        """Where the value is a string."""
        return np.equal(self.first, _QUOTE)

    @property
    def number(self) -> Flags:
        """Where the value is a number, finite or not."""
        digit = np.less_equal(_ZERO, self.first) & np.less_equal(self.first, _NINE)
        return digit | np.equal(self.first, _MINUS)

    @property
    def boolean(self) -> Flags:
        """Where the value is `true` or `false`."""
        return np.equal(self.first, ord("t")) | np.equal(self.first, ord("f"))

    def bare(self) -> Array:
        """Return the texts without the marks around strings."""
        # No mark can be inside a clean value, so trimming takes off the two around it.
        return pc.ascii_trim(self.texts, characters='"')

    def doubles(self, rows: Ints) -> npt.NDArray[np.float64]:
        """Return the numbers in `rows`, which hold numbers."""
        chosen = self.texts.take(pa.array(rows))
        try:
            return np.asarray(chosen.cast(pa.float64()))
        except pa.ArrowInvalid:  # "-NaN" and its kind
            return np.array([_double(text) for text in chosen.to_pylist()], np.float64)


def _double(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
