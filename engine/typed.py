"""The numbers of plain predictions as lists: what is stored of them in place of their JSON.

A prediction is plain when its line can be made again from columns: it was read by column, all its
properties are finite numbers that a double holds exactly, and it has no literal null. Its numbers
are one list in the order of the names of its *shape*. Rows of one model share a shape, whose list
has a null where a row lacks a name, as long as the lists are at least half full.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.answer import Answer
from engine.arrays import Array, Doubles, Flags, doubles, validity, whole
from engine.schema import CONTAINERS

__all__ = ["NUMBERS", "Shape", "Typed", "lists_of", "numbered", "plain_lines", "shape_of", "typed"]

Shape = tuple[str, ...]

NUMBERS = pa.list_(pa.float64())

_EXACT = 2.0**53
_MOST = 16  # shapes of one reading: of more, the rows of the rarest keep their JSON
# The text that is made of numbers drops a fraction of nothing, wherever it finds one.
_MISTAKEN = re.compile(r"\.0[,}]")


@dataclass(frozen=True, slots=True)
class Typed:
    """The lists of some rows.

    Attributes
    ----------
    numbers : pyarrow.ListArray, shape (n,)
        Null where the row keeps its JSON.
    shape : pyarrow.Int32Array, shape (n,)
        Index into `shapes`; null like `numbers`.
    shapes : tuple of Shape
    """

    numbers: Array
    shape: Array
    shapes: tuple[Shape, ...]

    @property
    def plain(self) -> Flags:
        """Which rows have a list."""
        return validity(self.shape)


def shape_of(names: Sequence[str]) -> Shape:
    """Give names in the order of a shape: features, predictions, labels, then further fields.

    >>> shape_of(["b", "labels.x", "features.b", "features.a"])
    ('features.a', 'features.b', 'labels.x', 'b')
    """
    return tuple(sorted(names, key=lambda name: (_place(name), name)))


def _place(name: str) -> int:
    container, dot, _ = name.partition(".")
    return CONTAINERS.index(container) if dot and container in CONTAINERS else len(CONTAINERS)


def plain_lines(answer: Answer) -> Flags:
    """Return which of the lines that were read have nothing but numbers and the known fields."""
    found = np.ones(answer.length, np.bool_)
    for text in answer.texts.values():
        found &= ~text.valid | text.number
    for name in ("prediction", "label"):
        found &= ~answer.top[name].boolean
    return found


def typed(table: pa.Table, names: Sequence[str], plain: Flags) -> Typed:
    """Make the lists of the rows that are `plain` so far.

    Parameters
    ----------
    table : pyarrow.Table
        With `model_id` and a double column for each of `names`.
    names : sequence of str
        Qualified names of the properties.
    plain : bool, shape (n,)
        The rows whose other fields can be made again.
    """
    named = shape_of(names)
    columns = {name: whole(table[name]) for name in named}
    plain = plain & _exact(columns, len(table))
    if not plain.any():
        return Typed(pa.nulls(len(table), NUMBERS), pa.nulls(len(table), pa.int32()), ())
    if plain.all() and not any(column.null_count for column in columns.values()):
        shape = pa.array(np.zeros(len(table), np.int32))
        values = [doubles(columns[name]) for name in named]
        return Typed(lists_of(values, (), len(table)), shape, (named,))
    return _grouped(table, columns, plain)


def _exact(columns: dict[str, Array], count: int) -> Flags:
    """Return where every number is one whose text tells it, and every name can be written."""
    fine = np.ones(count, np.bool_)
    bare: dict[str, str] = {}
    for name, column in columns.items():
        values = doubles(column)
        own = name.partition(".")[2] if _place(name) < len(CONTAINERS) else name
        # Without its container a name must not differ from another one by case alone.
        if _MISTAKEN.search(name) or bare.setdefault(own.lower(), own) != own:
            fine &= ~validity(column)
        elif count and not (np.abs(values) < _EXACT).all():
            fine &= (np.abs(values) < _EXACT) | ~validity(column)
    return fine


def _grouped(table: pa.Table, columns: dict[str, Array], plain: Flags) -> Typed:
    """Make lists of several shapes: of each model the names that any of its rows has."""
    chosen = np.flatnonzero(plain)
    models = whole(table["model_id"]).dictionary_encode()
    code = np.asarray(models.indices)[chosen]
    count = len(models.dictionary)
    valid = {name: validity(column)[chosen] for name, column in columns.items()}
    has = np.zeros((count, len(columns)), np.bool_)
    for place, there in enumerate(valid.values()):
        has[:, place] = np.bincount(code, weights=there, minlength=count) > 0
    kinds, kind = np.unique(has, axis=0, return_inverse=True)
    own = kind.reshape(-1)[code]
    index = np.full(len(table), -1, np.int64)
    shape = np.full(len(table), -1, np.int32)
    parts: list[Array] = []
    shapes: list[Shape] = []
    for number in np.argsort(-np.bincount(own, minlength=len(kinds)))[:_MOST].tolist():
        mine = own == number
        names = [name for name, has_it in zip(columns, kinds[number], strict=True) if has_it]
        given = [valid[name][mine] for name in names]
        if not mine.any() or 2 * sum(int(each.sum()) for each in given) < len(names) * mine.sum():
            continue
        rows = chosen[mine]
        index[rows] = sum(map(len, parts)) + np.arange(len(rows))
        shape[rows] = len(shapes)
        parts.append(lists_of([doubles(columns[name])[rows] for name in names], given, len(rows)))
        shapes.append(tuple(names))
    kept = index >= 0
    lists = pa.concat_arrays(parts) if parts else pa.nulls(0, NUMBERS)
    numbers = lists.take(pa.array(index, pa.int64(), mask=~kept))
    return Typed(numbers, pa.array(shape, mask=~kept), tuple(shapes))


def lists_of(values: Sequence[Doubles], given: Sequence[Flags], rows: int) -> Array:
    """Give one list a row of columns side by side; `given` empty: no value is null.

    >>> lists_of([np.array([1.0, 2.0]), np.array([3.0, 4.0])], (), 2).to_pylist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    width = len(values)
    flat = np.stack(values, axis=1).ravel() if width else np.zeros(0)
    holes = ~np.stack(given, axis=1).ravel() if width and len(given) else None
    inner = pa.array(flat, mask=holes if holes is not None and holes.any() else None)
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, inner)


def numbered(
    parts: Sequence[tuple[pa.Table, tuple[Shape, ...]]],
) -> tuple[list[pa.Table], tuple[Shape, ...]]:
    """Give the tables of several readings, their `shape` counted among the shapes of all."""
    shapes: dict[Shape, int] = {}
    found = []
    for part, own in parts:
        places = [shapes.setdefault(shape, len(shapes)) for shape in own]
        table = part
        if places != list(range(len(places))):
            at = table.schema.get_field_index("shape")
            moved = pa.array(places, pa.int32()).take(whole(table["shape"]))
            table = table.set_column(at, "shape", moved)
        found.append(table)
    return found, tuple(shapes)
