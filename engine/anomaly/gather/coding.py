"""Texts and names as whole numbers while buckets are pending, and the rows of a block in them.

Codes are handed out in order of arrival and mean nothing outside: what is told of a bucket is in
texts. A code book forgets what no pending bucket has any more.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.anomaly.gather.registry import Name
from engine.numbering import numbered
from engine.rules.reader import Read

__all__ = ["Book", "Coded"]

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_SPARE = 1 << 14
T = TypeVar("T", bound=Hashable)


class Book(Generic[T]):
    """Codes of things, from 0 on.

    Attributes
    ----------
    told : list
        The things by their codes; replaced, never changed, when things are forgotten.
    """

    def __init__(self) -> None:
        self.told: list[T] = []
        self._codes: dict[T, int] = {}
        self._spare = _SPARE

    def __len__(self) -> int:
        return len(self.told)

    def codes(self, things: Sequence[T]) -> Ints:
        """Give the codes of things, new ones to new things."""
        codes, told = self._codes, self.told
        found = np.empty(len(things), np.int64)
        for place, thing in enumerate(things):
            code = codes.get(thing)
            if code is None:
                code = codes[thing] = len(told)
                told.append(thing)
            found[place] = code
        return found

    @property
    def full(self) -> bool:
        """Whether it is time to see what can be forgotten."""
        return len(self.told) >= self._spare

    def keep(self, used: Ints) -> Ints | None:
        """Forget all but some codes, unless they are most of them.

        Parameters
        ----------
        used : int64, shape (n,)
            Rising.

        Returns
        -------
        int64, shape (codes,), or None
            The new codes by the old ones, -1 for what is gone; None: nothing was forgotten.
        """
        self._spare = _SPARE + 2 * len(used)
        return self._kept(used) if self.full else None

    def _kept(self, used: Ints) -> Ints:
        """Forget all but some codes; gives the new codes by the old ones, -1 for what is gone."""
        new = np.full(len(self.told), -1, np.int64)
        new[used] = np.arange(len(used))
        self.told = [self.told[code] for code in used.tolist()]
        self._codes = {thing: code for code, thing in enumerate(self.told)}
        return new


class Coded:
    """What some rows of a block have: texts as codes, each column read once.

    Parameters
    ----------
    read : Read
    rows : int64, shape (n,)
        Places of the rows, rising.
    """

    def __init__(self, read: Read, rows: Ints) -> None:
        self._read = read
        self._rows = rows
        self._whole = len(rows) == len(read.weight)
        self._local: dict[str, tuple[Ints, list[str]]] = {}
        self._combined: dict[tuple[str | None, ...], tuple[Ints, list[Name], Flags]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def column(self, sql: str) -> Any:
        """Give a column of the rows as Arrow has it."""
        column = self._read.column(sql)
        return column if self._whole else column.take(pa.array(self._rows, pa.int64()))

    def numbers(self, sql: str) -> npt.NDArray[np.float64]:
        """Give a DOUBLE column of the rows; NULL is NaN."""
        return np.asarray(self.column(sql).to_numpy(), np.float64)

    def flags(self, sql: str) -> Flags:
        """Give a BOOLEAN column of the rows; NULL is false."""
        return self._read.flags(sql)[self._rows]

    @property
    def weight(self) -> Ints:
        """The weights of the rows."""
        return self._read.weight[self._rows]

    def texts(self, sql: str) -> tuple[Ints, list[str]]:
        """Give each row's place in a list of distinct texts, -1 for NULL, and the list."""
        found = self._local.get(sql)
        if found is None:
            column: Any = self.column(sql).combine_chunks().dictionary_encode()
            codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            found = codes.astype(np.int64), column.dictionary.to_pylist()
            self._local[sql] = found
        return found

    def codes(self, sql: str, book: Book[str]) -> Ints:
        """Give each row's code in a book, -1 for NULL."""
        places, texts = self.texts(sql)
        return _looked_up(book.codes(texts), places)

    def names(
        self,
        keys: tuple[str | None, str | None, str | None],
        book: Book[Name],
        *,
        use_null: bool,
    ) -> Ints:
        """Give each row's code in a book of names.

        Parameters
        ----------
        keys : tuple of str or None
            SQL of by, over and partition.
        use_null : bool
            Whether NULL is a name like others; else such rows have -1.
        """
        found = self._combined.get(keys)
        if found is None:
            found = self._combined[keys] = self._combine(keys)
        places, names, lacking = found
        codes = book.codes(names)
        if not use_null:
            codes = np.where(lacking, -1, codes)
        return codes[places]

    def _combine(self, keys: tuple[str | None, ...]) -> tuple[Ints, list[Name], Flags]:
        """Give each row's place among distinct names, the names, and which lack a part."""
        columns = [None if sql is None else self.texts(sql) for sql in keys]
        asked = [column[0] for column in columns if column is not None]
        if not asked:
            places = np.zeros(len(self), np.int64)
            return places, [(None, None, None)], np.zeros(1, np.bool_)
        number, first = numbered(asked)
        by, over, partition = (_picked(column, first) for column in columns)
        lacking = np.logical_or.reduce([column[first] < 0 for column in asked])
        return number, list(zip(by, over, partition, strict=True)), lacking


def _picked(column: tuple[Ints, list[str]] | None, rows: Ints) -> list[str | None]:
    if column is None:
        return [None] * len(rows)
    places, texts = column
    told: Callable[[int], str | None] = [*texts, None].__getitem__
    return [told(place) for place in places[rows].tolist()]


def _looked_up(codes: Ints, places: Ints) -> Ints:
    """Give codes by places; -1 stays."""
    return np.append(codes, -1)[places]
