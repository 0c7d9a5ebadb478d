"""A metric compiled: the amounts that add up row by row, and the value of a sum of them.

A plan works on any relation of rows under the alias ``r`` with the columns `ROW_COLUMNS`; what else
a row has is reached through `Columns`, so the same metric is compiled for the rows of a live block,
for stored events and for the reference set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "ROW_COLUMNS",
    "SCALE_BITS",
    "Amounts",
    "Columns",
    "Component",
    "Multiset",
    "Plan",
]

ROW_COLUMNS = (
    *("model_id", "event_id", "event_time", "received_time", "label_time"),
    *("prediction", "prediction_number", "label", "label_number", "score", "positive_score"),
    *("job_id", "batch_id", "bucket_id", "line", "shape_id", "numbers"),
)
"""Columns of a row, as in `engine.kept`, with the label that holds."""

SCALE_BITS = 1074
"""An exact sum is a whole number of 2^-1074, the least positive float64."""


class Columns(Protocol):
    """Gives the properties of a row as SQL over ``r``; names are resolved (`tree.Column.name`)."""

    def number(self, name: str) -> str:
        """Give SQL, DOUBLE: the value if it is a number, else NULL."""
        ...

    def text(self, name: str) -> str:
        """Give SQL, VARCHAR: strings as they are, other scalars as class text; NULL if absent."""
        ...

    def time(self, name: str) -> str:
        """Give SQL, TIMESTAMP, of inference_timestamp and its like."""
        ...


@dataclass(frozen=True, slots=True)
class Component:
    """What one row adds.

    Attributes
    ----------
    kind : str
        ``count``: `sql` is BOOLEAN, a row adds 1 where it is true. ``sum``: `sql` is DOUBLE, a row
        adds it exactly where it is finite. ``values``: `sql` is DOUBLE, a row adds one entry to a
        multiset where it is not NULL. ``texts``: the same of a VARCHAR: a category, or label and
        prediction with ``chr(31)`` between them.
    """

    name: str
    kind: Literal["count", "sum", "values", "texts"]
    sql: str


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts of m windows.

    Attributes
    ----------
    counts : mapping of str to int64, shape (m,)
        By the component's name.
    sums : mapping of str to object, shape (m,)
        Python whole numbers of 2^-1074: the exact sums.
    """

    counts: Mapping[str, npt.NDArray[np.int64]]
    sums: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Multiset:
    """The entries of one window under a ``values`` or ``texts`` component; all weights are above 0.

    Attributes
    ----------
    entries : float64 or object (str), shape (n,)
        May repeat.
    weights : int64, shape (n,)
    panes : int64, shape (n,)
        Start of the pane of each entry, seconds since the epoch.
    """

    entries: npt.NDArray[Any]
    weights: npt.NDArray[np.int64]
    panes: npt.NDArray[np.int64]


Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """A metric of one model's rows.

    Attributes
    ----------
    function : str
        The outermost function, for messages.
    where : str
        SQL, BOOLEAN: which rows count at all; ``true`` for all.
    parameters : mapping of str to object
        Named parameters of `where` and of the components (``$p0``).
    components : tuple of Component
        Counts and sums in any number, or one of kind values or texts beside counts.
    truths : tuple of str
        The truths that a row must have to count: ``label``, or a name ``x`` of ``labels.x``; empty
        where unlabelled rows count too.
    properties : tuple of str
        Resolved names that the SQL reads through `Columns.number` or `Columns.text`.
    is_count : bool
        Whether an empty window has the value 0.
    of_amounts : callable or None
        Amounts -> (values float64 with NaN for undefined, sample counts int64), shape (m,) each;
        for plans of counts and sums.
    of_multiset : callable or None
        (Multiset, seconds a pane) -> (value or None, sample count); for plans with values or texts.
    """

    function: str
    where: str
    parameters: Mapping[str, object]
    components: tuple[Component, ...]
    truths: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    is_count: bool = False
    of_amounts: Callable[[Amounts], tuple[Values, Counts]] | None = None
    of_multiset: Callable[[Multiset, int], tuple[float | None, int]] | None = None
