"""From weighted rows to amounts: which windows each row enters and leaves, and with what.

The rows are the relation ``w_rows`` (`engine.rules.rowset`). A row counts in the pane of its time,
from the first boundary on that is not before the end of the pane and lies behind the watermark that
its line left, to the last one whose window still holds the pane.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.query.exact import exact_sums
from engine.query.plan import Plan
from engine.rules.reader import Frame, Framed, Read, by_value
from engine.rules.rowset import RowColumns

__all__ = ["Amount", "Entry", "Extraction", "extraction_of"]

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Amount:
    """Amounts of n (model, group, pane, arrival); `group` has the texts, or None without groups."""

    model_no: Ints
    group: "pa.Array[Any] | None"
    pane_s: Ints
    enter_s: Ints
    counts: Ints
    sums: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """Single weighted values or texts."""

    model_no: Ints
    group: "pa.Array[Any] | None"
    pane_s: Ints
    enter_s: Ints
    entry: npt.NDArray[Any]
    weight: Ints


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a metric reads of the rows.

    Attributes
    ----------
    plan : Plan
    frame : Frame
        Which rows count, and where.
    columns : mapping of str to str
        SQL of the components by their names.
    wanted : mapping of str to mapping
        All SQL that is to be read, with its parameters.
    """

    plan: Plan
    frame: Frame
    columns: Mapping[str, str]
    wanted: Mapping[str, Mapping[str, object]]

    @property
    def counts(self) -> list[str]:
        """Names of the whole counts, in the order of the columns."""
        return [c.name for c in self.plan.components if c.kind == "count"]

    @property
    def sums(self) -> list[str]:
        """Names of the exact sums, in the order of the columns."""
        return [c.name for c in self.plan.components if c.kind == "sum"]

    def amounts(self, read: Read, watched: Flags) -> Amount:
        """Add up counts and sums.

        Parameters
        ----------
        read : Read
            With the columns `wanted`.
        watched : bool, shape (models,)
            Which models count.
        """
        framed = read.framed(self.frame)
        size, weight = len(framed.first), read.weight[framed.rows]
        counts = np.empty((size, len(self.counts)), np.int64)
        for i, name in enumerate(self.counts):
            sql = self.columns[name]
            number, own = framed.number, weight
            if sql != "true":
                chosen = read.flags(sql)[framed.rows]
                number, own = number[chosen], own[chosen]
            # Sums of whole numbers below 2^53: exact as floats.
            counts[:, i] = np.bincount(number, own, size)
        sums = np.empty((size, len(self.sums)), object)
        for i, name in enumerate(self.sums):
            values = read.numbers(self.columns[name])[framed.rows]
            sums[:, i] = exact_sums(values, framed.number, size, weight)
        some = counts.any(axis=1) | (sums != 0).any(axis=1)
        kept = np.flatnonzero(some & watched[read.model_no[framed.rows[framed.first]]])
        first = framed.first[kept]
        return Amount(
            read.model_no[framed.rows[first]],
            self._group(read, framed, first),
            framed.pane_s[first],
            framed.enter_s[first],
            counts[kept],
            sums[kept],
        )

    def entries(self, read: Read, watched: Flags) -> Entry:
        """Give the entries of the plan's multiset."""
        component = next(c for c in self.plan.components if c.kind in {"values", "texts"})
        framed, column = read.framed(self.frame), read.column(self.columns[component.name])
        there = column.is_valid().to_numpy()[framed.rows]
        first = np.flatnonzero(there & watched[read.model_no[framed.rows]])
        rows = framed.rows[first]
        picked = column.take(pa.array(rows, pa.int64()))
        values = (
            picked.to_numpy()
            if component.kind == "values"
            else np.array(picked.to_pylist(), object)
        )
        return Entry(
            read.model_no[rows],
            self._group(read, framed, first),
            framed.pane_s[first],
            framed.enter_s[first],
            values,
            read.weight[rows],
        )

    def _group(self, read: Read, framed: Framed, places: Ints) -> "pa.Array[Any] | None":
        if self.frame.group is None:
            return None
        texts = read.column(self.frame.group).take(pa.array(framed.rows[places], pa.int64()))
        return texts.combine_chunks()


def extraction_of(
    plan: Plan,
    columns: RowColumns,
    basis: str,
    step_s: int,
    group_by: str | None,
    *,
    every: bool = False,
) -> Extraction:
    """Say what a plan reads.

    Parameters
    ----------
    plan : Plan
        Compiled with `columns`.
    columns : RowColumns
        Learns what the rows must have.
    basis : str
        ``event`` or ``label``.
    step_s : int
        Seconds a pane, and from one boundary to the next.
    group_by : str or None
        Resolved name of a property.
    every : bool
        The components read the label although the plan needs none: every state of a row counts.
    """
    label_basis = basis == "label"
    moment = f"epoch_us({columns.moment(plan.truths, label_basis=label_basis)})"
    truths = plan.truths or (("label",) if label_basis else ())
    conditions = [columns.present(truths), f"({plan.where})"]
    if not truths and not every:
        conditions.append("r.changed")
    group = None if group_by is None else f"coalesce({columns.text(group_by)}, '__missing__')"
    wanted: dict[str, Mapping[str, object]] = {moment: {}}
    condition = _condition(conditions)
    if condition is not None:
        condition, used = by_value(condition, plan.parameters)
        wanted[condition] = used
    if group is not None:
        wanted[group] = {}
    named = {}
    for component in plan.components:
        sql, used = by_value(component.sql, plan.parameters)
        named[component.name] = sql
        if sql != "true":
            wanted[sql] = used
    for sql in wanted:
        columns.note(sql)
        if truths or every:
            columns.last(sql)
    return Extraction(plan, Frame(moment, condition, group, step_s), named, wanted)


def _condition(conditions: Sequence[str]) -> str | None:
    """Join conditions; None where every row meets them."""
    real = [each for each in conditions if each not in {"true", "(true)"}]
    return " AND ".join(real) if real else None
