"""The rows that rules are counted from: of a block, of touched events, of the store; all alike.

A row is a prediction with the label that holds, weighted +1 or -1, with the watermark after the
line that brought it (`arrival_us`). The columns are those that the plans in use have asked for,
under the names that `RowColumns` gives: ``n:features.age`` is the number, ``t:city`` the text, and
``at:labels.x`` the time at which a named truth came. Relations are registered as ``w_rows``.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.asking import first
from engine.batch import Batch
from engine.column_names import column_name
from engine.panes import quoted, text
from engine.query.columns import IDENTIFIERS, TIMES, StoredColumns
from engine.query.extracted import Extracted
from engine.query.names import ModelNames
from engine.query.plan import ROW_COLUMNS

__all__ = ["RowColumns", "Rowset"]

_REGULAR = re.compile(r"\br\.(" + "|".join(ROW_COLUMNS) + r")\b")
_NAMED = re.compile(r'\br\."((?:n|t|at):(?:[^"]|"")*)"')
_SAID = ("line", "shape_id", "numbers")
"""Columns that have what an event says beside its other columns."""
_LABEL = ("label", "label_number", "label_time")
_SETTLED = {
    *("model_id", "event_id", "event_time", "prediction", "prediction_number"),
    *("label", "label_number", "score", "positive_score"),
}
"""Columns that `t_old` has of the stored events that a block touches (`engine.pairing`)."""
_OWN = {"prediction", "label", "score", *TIMES, *IDENTIFIERS}


class RowColumns:
    """Gives the columns of ``w_rows`` as SQL over ``r``, and remembers which were asked for.

    Attributes
    ----------
    numbers, texts : dict of str to None
        Property names, in the order of asking.
    regular : set of str
        Columns of `ROW_COLUMNS`.
    lasting : set of str
        Those columns, as they are called in ``w_rows``, that are read of a row of which only the
        label has changed, too.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, None] = {}
        self.texts: dict[str, None] = {}
        self.regular: set[str] = {"event_time"}
        self.lasting: set[str] = set()
        self._stored = StoredColumns(ModelNames(""))

    def number(self, name: str) -> str:
        """Give the value if it is a number, else NULL."""
        if name in _OWN:
            return self._noted(self._stored.number(name))
        self.numbers[name] = None
        return "r." + quoted(column_name("n", name))

    def text(self, name: str) -> str:
        """Give the value as text."""
        if name in _OWN:
            return self._noted(self._stored.text(name))
        self.texts[name] = None
        return "r." + quoted(column_name("t", name))

    def time(self, name: str) -> str:
        """Give a time of the row."""
        return self._noted(self._stored.time(name))

    def moment(self, truths: Iterable[str], *, label_basis: bool) -> str:
        """Give the time at which a row counts, in one of the two bases."""
        times = ["r.event_time"]
        if label_basis:
            for truth in truths or ("label",):
                if truth == "label":
                    times.append("r.label_time")
                else:
                    self.texts["labels." + truth] = None
                    times.append("r." + quoted(column_name("at", "labels." + truth)))
        sql = times[0] if len(times) == 1 else f"greatest({', '.join(times)})"
        return self._noted(sql)

    def present(self, truths: Iterable[str]) -> str:
        """Give the condition that a row has these truths."""
        have = [
            "r.label IS NOT NULL"
            if truth == "label"
            else f"{self.text('labels.' + truth)} IS NOT NULL"
            for truth in truths
        ]
        return self._noted(" AND ".join(have) or "true")

    def note(self, sql: str) -> None:
        """Remember the regular columns that a statement over ``r`` reads."""
        self.regular.update(_REGULAR.findall(sql))

    def last(self, sql: str) -> None:
        """Remember what a statement over ``r`` reads of rows whose label alone changes."""
        self.lasting.update(_REGULAR.findall(sql))
        self.lasting.update(name.replace('""', '"') for name in _NAMED.findall(sql))

    def _noted(self, sql: str) -> str:
        self.note(sql)
        return sql


class Rowset:
    """Makes the rows on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    columns : RowColumns
        What the rows must have; may grow between two calls.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, columns: RowColumns) -> None:
        self._cursor = cursor
        self._columns = columns

    def text(self, name: str) -> str:
        """Give a property as text, as SQL over ``r``; somebody has asked for it before."""
        return self._columns.text(name)

    # ---- the fresh rows of a block ----------------------------------------------------------

    def of_block(
        self,
        batch: Batch,
        rows: pa.Table,
        chosen: npt.NDArray[np.bool_],
        model_no: npt.NDArray[np.int64],
        arrival_us: npt.NDArray[np.int64],
    ) -> pa.Table:
        """Give rows of a block as they stand in their lines.

        Parameters
        ----------
        batch : Batch
        rows : pyarrow.Table
            Its predictions with the columns of events_log.
        chosen : bool, shape (predictions,)
        model_no, arrival_us : int64, shape (predictions,)
            Number of the model among the watched ones; the watermark after the line.
        """
        whole = bool(chosen.all())
        ordinals = rows["ordinal"].to_numpy()
        if not whole:
            rows = rows.filter(pa.array(chosen))
            model_no, arrival_us = model_no[chosen], arrival_us[chosen]
        wide, beside = set(batch.properties), set(batch.sparse["property"].unique().to_pylist())
        made: dict[str, object] = {
            "weight": pa.repeat(pa.scalar(1, pa.int64()), len(rows)),
            "seq": rows["seq"],
            "arrival_us": pa.array(arrival_us),
            "changed": pa.repeat(pa.scalar(value=True, type=pa.bool_()), len(rows)),
            "model_no": pa.array(model_no),
        }
        for name in self._columns.regular:
            made[name] = _label_time(rows) if name == "label_time" else rows[name]
        for name in self._columns.numbers:
            if name in wide and name not in beside:
                made[column_name("n", name)] = rows[name]
            elif name in beside:
                column = rows[name] if name in wide else None
                made[column_name("n", name)] = _filled(batch, name, ordinals, chosen, column)
            elif not name.startswith("?."):
                made[column_name("n", name)] = pa.nulls(len(rows), pa.float64())
        self._extract(made, rows)
        return pa.table(made)

    def _extract(self, made: dict[str, object], rows: pa.Table) -> None:
        """Add the columns that only the JSON of the line has."""
        said = _said()
        wanted = [
            f"{said.number(name)} AS {quoted(column_name('n', name))}"
            for name in self._columns.numbers
            if column_name("n", name) not in made
        ]
        for name in self._columns.texts:
            sql = said.text(name)
            wanted.append(f"{sql} AS {quoted(column_name('t', name))}")
            if name.startswith("labels."):
                at = quoted(column_name("at", name))
                wanted.append(f"CASE WHEN {sql} IS NOT NULL THEN r.event_time END AS {at}")
        if not wanted:
            return
        source = rows.select([*_SAID, "event_time"])
        self._cursor.register("b_raw", source)
        widened = said.relation("SELECT * FROM b_raw")
        found = self._cursor.sql(f"SELECT {', '.join(wanted)} FROM ({widened}) r").to_arrow_table()
        self._cursor.unregister("b_raw")
        for name in found.column_names:
            made[name] = found[name]

    # ---- touched events ---------------------------------------------------------------------

    def of_states(self, model_no: str) -> pa.Table:
        """Give the weighted rows of `s_pairs` (`engine.rules.steps`).

        Parameters
        ----------
        model_no : str
            SQL over ``e.model_id`` for the number of the model; NULL: not watched.
        """
        self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE s_events AS {self._touched()}")
        truth = "t.label IS NOT NULL OR t.state IS NOT NULL"
        label = (
            f"CASE WHEN {truth} THEN t.label ELSE e.own_label END AS label,"
            f" CASE WHEN {truth} THEN t.label_number ELSE e.own_label_number END AS label_number,"
            f" CASE WHEN {truth} THEN t.label_time WHEN e.own_label IS NOT NULL"
            " THEN e.event_time END AS label_time"
        )
        named = [name for name in self._columns.texts if name.startswith("labels.")]
        named += [
            name
            for name in self._columns.numbers
            if name.startswith("labels.") and name not in named
        ]
        joins = "".join(
            f" LEFT JOIN s_truths x{i} ON x{i}.state = p.state"
            f" AND x{i}.property = {text(name.removeprefix('labels.'))}"
            for i, name in enumerate(named)
        )
        truths = "".join(f", x{i} AS x{i}" for i in range(len(named)))
        base = (
            f"SELECT p.weight, p.event_seq AS seq, p.arrival_us, p.changed, {model_no} AS model_no,"
            f" e.* EXCLUDE (seq), {label}{truths} FROM s_pairs p"
            " JOIN s_events e ON e.seq = p.event_seq"
            f" LEFT JOIN s_truths t ON t.state = p.state AND t.property = ''{joins}"
        )
        return self._shaped(base, named)

    def _touched(self) -> str:
        """Give SQL for the events of `s_pairs`: those of the block, and what is stored of others.

        Pairing has found nearly all of it. What is wide lies in the log alone, and is read for the
        rows that need it: reading it takes longer than everything else together.
        """
        wanted = {*self._columns.regular, *(_SAID if self._from_raw() else ())}
        narrow = [c for c in ROW_COLUMNS if c in _SETTLED and c not in _LABEL]
        wide = [c for c in ROW_COLUMNS if c in wanted and c not in {*_SETTLED, *_LABEL}]
        own = "label AS own_label, label_number AS own_label_number"
        listed = ", ".join(("seq", *narrow))
        extra = ", ".join(f"e.{c}" for c in wide)
        pairs = "SELECT event_seq AS seq FROM s_pairs"
        fresh = (
            f"SELECT {', '.join((listed, own, *wide))} FROM"
            f" (SELECT * FROM b_predictions WHERE NOT fresh) SEMI JOIN ({pairs}) USING (seq)"
        )
        stored = f"SELECT {listed}, {own} FROM t_old SEMI JOIN ({pairs}) USING (seq)"
        if wide and not any(name in wide or ":" in name for name in self._columns.lasting):
            pairs += " WHERE changed"
        span = self._span(pairs) if wide else None
        if span is not None:
            far = (
                f"SELECT seq, {', '.join(wide)} FROM events_stored SEMI JOIN ({pairs}) USING (seq)"
                f" WHERE seq >= {span[0]} AND seq <= {span[1]}"
            )
            stored = f"SELECT o.*, {extra} FROM ({stored}) o LEFT JOIN ({far}) e USING (seq)"
        elif wide:
            stored = f"SELECT o.*, {', '.join(f'NULL AS {c}' for c in wide)} FROM ({stored}) o"
        return f"SELECT DISTINCT ON (seq) * FROM ({fresh} UNION ALL {stored})"

    def _from_raw(self) -> bool:
        return bool(self._columns.numbers or self._columns.texts)

    def _span(self, pairs: str) -> tuple[int, int] | None:
        """Give the first and the last stored event among some; None without any."""
        sql = f"SELECT min(seq), max(seq) FROM ({pairs}) SEMI JOIN t_old USING (seq)"
        found = first(self._cursor, sql)
        return None if found is None or found[0] is None else (int(found[0]), int(found[1]))

    # ---- the store --------------------------------------------------------------------------

    def of_store(self, model_no: str, bounds: str, arrival_us: int) -> pa.Table:
        """Give stored events as they are now.

        Parameters
        ----------
        model_no : str
            As above.
        bounds : str
            SQL over the columns ``e`` of events_log and ``label_time``.
        arrival_us : int
            The watermark now: all of them came before.
        """
        named = list(
            dict.fromkeys(
                name
                for name in (*self._columns.texts, *self._columns.numbers)
                if name.startswith("labels.")
            )
        )
        valid = "(SELECT * FROM outcomes ANTI JOIN outcomes_retired USING (seq))"
        joins = "".join(
            f" LEFT JOIN {valid} x{i} ON x{i}.event_seq = e.seq"
            f" AND x{i}.property = {text(name.removeprefix('labels.'))}"
            for i, name in enumerate(named)
        )
        truths = "".join(f", x{i} AS x{i}" for i in range(len(named)))
        label = (
            "CASE WHEN o.event_seq IS NULL THEN e.label ELSE o.label END AS label,"
            " CASE WHEN o.event_seq IS NULL THEN e.label_number ELSE o.label_number END"
            " AS label_number,"
            " CASE WHEN o.event_seq IS NOT NULL THEN o.label_time"
            " WHEN e.label IS NOT NULL THEN e.event_time END AS label_time"
        )
        base = (
            "SELECT * FROM (SELECT 1::BIGINT AS weight, e.seq,"
            f" ({arrival_us})::BIGINT AS arrival_us,"
            f" true AS changed, {model_no} AS model_no,"
            f" e.* EXCLUDE (seq, label, label_number), {label}{truths}"
            " FROM (SELECT * FROM events_stored ANTI JOIN events_retired USING (seq)) e"
            f" LEFT JOIN {valid} o ON o.event_seq = e.seq AND o.property = ''{joins}) e"
            f" WHERE model_no IS NOT NULL AND {bounds} ORDER BY seq"
        )
        return self._shaped(base, named)

    def _shaped(self, base: str, named: Sequence[str]) -> pa.Table:
        """Give the columns of a relation; ``x0``, ``x1``… are the outcomes of named truths."""
        place, said = {name: f"r.x{i}" for i, name in enumerate(named)}, _said()
        wanted = [
            "weight::BIGINT AS weight",
            "seq",
            "arrival_us",
            "changed",
            "model_no::BIGINT AS model_no",
        ]
        wanted += [f"r.{name}" for name in self._columns.regular]
        for name in self._columns.numbers:
            sql, outcome = said.number(name), place.get(name)
            if outcome:
                known = f"{outcome}.event_seq" if "s_pairs" not in base else f"{outcome}.state"
                sql = f"CASE WHEN {known} IS NOT NULL THEN {outcome}.label_number ELSE {sql} END"
            wanted.append(f"{sql} AS {quoted(column_name('n', name))}")
        for name in self._columns.texts:
            sql, outcome = said.text(name), place.get(name)
            if outcome:
                known = f"{outcome}.event_seq" if "s_pairs" not in base else f"{outcome}.state"
                when = (
                    f"CASE WHEN {known} IS NOT NULL THEN {outcome}.label_time"
                    f" WHEN {sql} IS NOT NULL THEN r.event_time END"
                )
                sql = f"CASE WHEN {known} IS NOT NULL THEN {outcome}.label ELSE {sql} END"
                wanted.append(f"{when} AS {quoted(column_name('at', name))}")
            wanted.append(f"{sql} AS {quoted(column_name('t', name))}")
        found: pa.Table = self._cursor.sql(
            f"SELECT {', '.join(wanted)} FROM ({said.relation(base)}) r WHERE model_no IS NOT NULL"
        ).to_arrow_table()
        return found


def _said() -> Extracted:
    """Give what reads the JSON of a line once: each reading of 2,048 lines holds all of them."""
    return Extracted(ModelNames(""))


def _label_time(rows: pa.Table) -> object:
    none = pa.scalar(None, rows["event_time"].type)
    return pc.if_else(pc.is_valid(rows["label"]), rows["event_time"], none)


def _filled(
    batch: Batch,
    name: str,
    ordinals: npt.NDArray[np.int32],
    chosen: npt.NDArray[np.bool_],
    column: "pa.ChunkedArray[Any] | None",
) -> "pa.Array[Any]":
    """Give a number column of which some values lie beside the wide columns."""
    values = np.full(batch.lines, np.nan)
    if column is not None:
        values[ordinals[chosen]] = column.to_numpy(zero_copy_only=False)
    beside = batch.sparse.filter(pc.field("property") == name)
    values[beside["ordinal"].to_numpy()] = beside["value"].to_numpy()
    picked = values[ordinals[chosen]]
    column_: pa.Array[Any] = pa.array(picked, mask=np.isnan(picked))
    return column_
