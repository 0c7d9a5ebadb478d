"""What is counted of a job's events: cells of model, label, prediction and where the label is from.

Whoever runs several statements for one tally runs them on one state of the store.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

__all__ = ["CELL", "ENDS", "Cell", "Run", "Statement", "Tally", "cell_of", "one_by_one"]

Statement = tuple[str, Mapping[str, object]]
"""SQL, and its parameters by name."""

Run = Callable[[Sequence[Statement]], list[pa.Table]]
"""Runs statements that do not depend on each other, and gives their results in their order."""

Cell = tuple[str, str | None, str | None, str | None]
"""Model, label, prediction and label_source; label and prediction are classes or None."""

CELL = "model_id, label, prediction, label_source"
"""The columns of a cell in SQL. They are grouped by as texts: two texts may have one hash."""

ENDS = "epoch_us(min(event_time){0}) AS {1}first_us, epoch_us(max(event_time){0}) AS {1}last_us"
"""SQL of the first and the last event time; takes a FILTER, and what the names begin with."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of a selection.

    Attributes
    ----------
    cells : mapping of Cell to int
    first_us, last_us : int or None
        Event times of its first and its last event, µs.
    changed : tuple of int
        Those of the asked `seq` that are in it.
    """

    cells: Mapping[Cell, int] = field(default_factory=Counter)
    first_us: int | None = None
    last_us: int | None = None
    changed: tuple[int, ...] = ()

    def merge(self, other: "Tally") -> "Tally":
        """Count both as one."""
        firsts = [us for us in (self.first_us, other.first_us) if us is not None]
        lasts = [us for us in (self.last_us, other.last_us) if us is not None]
        return Tally(
            Counter(self.cells) + Counter(other.cells),
            min(firsts, default=None),
            max(lasts, default=None),
            self.changed + other.changed,
        )


def cell_of(row: Mapping[str, Any], label: str = "label") -> Cell:
    """Read the cell of a row; `label` and `label_source` may have a name of their own."""
    return row["model_id"], row[label], row["prediction"], row[f"{label}_source"]


def one_by_one(cursor: duckdb.DuckDBPyConnection) -> Run:
    """Give what runs statements one after another on a cursor."""

    def run(statements: Sequence[Statement]) -> list[pa.Table]:
        return [cursor.sql(sql, params=dict(own)).to_arrow_table() for sql, own in statements]

    return run
