"""From weighted rows to amounts: which windows each row enters and leaves, and with what.

The rows are the relation ``w_rows`` (`engine.rules.rowset`). A row counts in the pane of its time,
from the first boundary on that is not before the end of the pane and lies behind the watermark that
its line left, to the last one whose window still holds the pane.
"""

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.panes import pane_of
from engine.query.exact import exact_sums
from engine.query.plan import Plan
from engine.rules.rowset import RowColumns

__all__ = ["Amount", "Entry", "Extraction", "extraction_of"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Amount:
    """Amounts of n (model, group, pane, arrival); `group` has the texts, or None without groups."""

    model_no: Ints
    group: "pa.Array[Any] | None"
    pane_s: Ints
    enter_s: Ints
    seq: Ints
    counts: Ints
    sums: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """Single weighted values or texts."""

    model_no: Ints
    group: "pa.Array[Any] | None"
    pane_s: Ints
    enter_s: Ints
    seq: Ints
    entry: npt.NDArray[Any]
    weight: Ints


@dataclass(frozen=True, slots=True)
class Extraction:
    """The statements of one metric, written once."""

    plan: Plan
    keys: str
    tail: str
    grouped: bool

    @property
    def counts(self) -> list[str]:
        """Names of the whole counts, in the order of the columns."""
        return [c.name for c in self.plan.components if c.kind == "count"]

    @property
    def sums(self) -> list[str]:
        """Names of the exact sums, in the order of the columns."""
        return [c.name for c in self.plan.components if c.kind == "sum"]

    def amounts(self, cursor: duckdb.DuckDBPyConnection, models: str) -> list[Amount]:
        """Read counts and sums from ``w_rows``, of the models that `models`, SQL, lists."""
        found = []
        by_name = {c.name: c for c in self.plan.components}
        if self.counts:
            listed = ", ".join(
                f"coalesce(sum(r.weight) FILTER (WHERE {by_name[name].sql}), 0)::BIGINT AS c{i}"
                for i, name in enumerate(self.counts)
            )
            some = " OR ".join(f"c{i} <> 0" for i in range(len(self.counts)))
            table = self._ask(
                cursor,
                f"SELECT * FROM (SELECT {self.keys}, min(r.seq) AS seq, {listed}"
                f" {self._tail(models)} GROUP BY ALL) WHERE {some}",
            )
            counts = np.empty((len(table), len(self.counts)), np.int64)
            for i in range(len(self.counts)):
                counts[:, i] = table[f"c{i}"].to_numpy()
            blank = np.zeros((len(table), len(self.sums)), object)
            found.append(Amount(*self._keyed(table), counts, blank))
        if self.sums:
            found.append(self._summed(cursor, models))
        return found

    def _summed(self, cursor: duckdb.DuckDBPyConnection, models: str) -> Amount:
        by_name = {c.name: c for c in self.plan.components}
        listed = ", ".join(f"{by_name[name].sql} AS v{i}" for i, name in enumerate(self.sums))
        table = self._ask(
            cursor,
            f"SELECT {self.keys}, r.seq, r.weight, {listed} {self._tail(models)}",
        )
        weight = table["weight"].to_numpy()
        model_no, group, pane_s, enter_s, seq = self._keyed(table)
        codes = _codes(group, len(table))
        order = np.lexsort((enter_s, pane_s, codes, model_no))
        new = np.zeros(len(order), np.bool_)
        new[:1] = True
        for column in (model_no, codes, pane_s, enter_s):
            ordered = column[order]
            new[1:] |= ordered[1:] != ordered[:-1]
        starts = np.flatnonzero(new)
        number = np.empty(len(order), np.int64)
        number[order] = np.cumsum(new) - 1
        sums = np.zeros((len(starts), len(self.sums)), object)
        for i in range(len(self.sums)):
            column = table[f"v{i}"]
            values = column.to_numpy(zero_copy_only=False) if len(table) else np.zeros(0)
            sums[:, i] = exact_sums(np.asarray(values, np.float64), number, len(starts), weight)
        first = order[starts]
        least = np.minimum.reduceat(seq[order], starts) if len(starts) else seq
        counts = np.zeros((len(starts), len(self.counts)), np.int64)
        picked = None if group is None else group.take(pa.array(first, pa.int64()))
        return Amount(model_no[first], picked, pane_s[first], enter_s[first], least, counts, sums)

    def entries(self, cursor: duckdb.DuckDBPyConnection, models: str) -> Entry:
        """Read the entries of the plan's multiset."""
        component = next(c for c in self.plan.components if c.kind in {"values", "texts"})
        table = self._ask(
            cursor,
            f"SELECT {self.keys}, r.seq, r.weight, {component.sql} AS entry {self._tail(models)}"
            f" AND ({component.sql}) IS NOT NULL",
        )
        column = table["entry"]
        values = (
            column.to_numpy(zero_copy_only=False)
            if component.kind == "values"
            else np.array(column.to_pylist(), object)
        )
        keyed = self._keyed(table)
        return Entry(*keyed, values, table["weight"].to_numpy())

    def _tail(self, models: str) -> str:
        return f"FROM w_rows r WHERE r.model_no IN ({models}) AND {self.tail}"

    def _ask(self, cursor: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
        used = {k: v for k, v in self.plan.parameters.items() if f"${k}" in sql}
        found: pa.Table = cursor.sql(sql, params=used).to_arrow_table()
        return found

    def _keyed(self, table: pa.Table) -> tuple[Ints, "pa.Array[Any] | None", Ints, Ints, Ints]:
        group = table["grp"].combine_chunks() if self.grouped else None
        return (
            table["model_no"].to_numpy(),
            group,
            table["pane_s"].to_numpy(),
            table["enter_s"].to_numpy(),
            table["seq"].to_numpy(),
        )


def extraction_of(
    plan: Plan,
    columns: RowColumns,
    basis: str,
    step_s: int,
    group_by: str | None,
    *,
    every: bool = False,
) -> Extraction:
    """Write the statements of a plan.

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
    moment = columns.moment(plan.truths, label_basis=label_basis)
    truths = plan.truths or (("label",) if label_basis else ())
    conditions = [columns.present(truths), f"({plan.where})"]
    if not truths and not every:
        conditions.append("r.changed")
    pane = pane_of(moment, step_s)
    arrival = pane_of("make_timestamp(r.arrival_us)", step_s)
    keys = (
        f"r.model_no, {pane} AS pane_s, (greatest({pane}, {arrival}) + {step_s})::BIGINT AS enter_s"
    )
    if group_by is not None:
        keys += f", coalesce({columns.text(group_by)}, '__missing__') AS grp"
    for component in plan.components:
        columns.note(component.sql)
    columns.note(plan.where)
    return Extraction(plan, keys, " AND ".join(conditions), group_by is not None)


def _codes(group: "pa.Array[Any] | None", size: int) -> Any:
    if group is None:
        return np.zeros(size, np.int64)
    return group.dictionary_encode().indices.to_numpy(zero_copy_only=False)
