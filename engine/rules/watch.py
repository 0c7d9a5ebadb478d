"""The watch: all alert rules over the stream, from the rows of a block to alerts in the store.

The path of a block: models and groups seen for the first time join -> the rows of the block and the
states of touched ids become amounts in the windows of each track -> every boundary that the
watermark passes is evaluated, with exactly the lines before the one that passed it -> evaluations
and alerts are written, in the owner's transaction. Nothing is stored of the windows themselves:
`open` makes them anew from the stored events, for a rule that is new as for one that goes on.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.batch import Batch
from engine.column_names import column_name
from engine.config import ModelSettings, Settings
from engine.query.tree import DriftQuery
from engine.rules.alerting import Lines, alert_rows
from engine.rules.batch_parts import BATCH_STEP_S
from engine.rules.batches import Batches
from engine.rules.definition import metric_of, names_of, own_metrics, rules_of
from engine.rules.drifts import Drifts
from engine.rules.log import (
    declare_metrics,
    declare_rules,
    stands,
    write_alerts,
    write_evaluations,
)
from engine.rules.marks import Marks
from engine.rules.panel import Versioned
from engine.rules.panels import Panels
from engine.rules.reader import read_rows
from engine.rules.references import References
from engine.rules.roster import MODEL_NO, Roster, chunks
from engine.rules.rowset import RowColumns, Rowset
from engine.rules.states import NONE, SECOND_US
from engine.rules.steps import make_steps
from engine.rules.tracks import Track
from engine.watermark import NEVER

__all__ = ["Beside", "Watch"]

Ints = npt.NDArray[np.int64]


class Beside(Protocol):
    """Follows the same rows as the rules: the anomaly jobs."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to follow."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """Models whose predictions are watched."""
        ...

    @property
    def steps_s(self) -> Sequence[int]:
        """Seconds that divide the instants at which something is decided."""
        ...

    def watch(self, model_id: str, number: int) -> None:
        """Note the number that rows of a model have."""
        ...

    def open(self, rowset: Rowset, watermark_us: int) -> None:
        """Begin, or go on, behind every opening of the rules."""
        ...

    def gather(self, rows: pa.Table) -> None:
        """Take in rows."""
        ...

    def advance(self, watermark_us: int, lines: Lines | None, next_seq: int) -> pa.Table:
        """Go on to the watermark; gives `alert_id` and `model_id` of the alerts."""
        ...


class Watch:
    """Follows the rules of the settings on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction whenever it is used.
    settings : Settings
    columns : RowColumns
        What the rows must have.
    beside : Beside
        What else follows the rows and the watermark.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        settings: Settings,
        columns: RowColumns,
        beside: Beside,
    ) -> None:
        self._cursor = cursor
        self._settings = settings
        self._horizon_us = settings.time.label_horizon_us
        self._columns = columns
        self._beside = beside
        self._rowset = Rowset(cursor, self._columns)
        self._panels = Panels(self._columns, NONE)
        self._references = References(cursor)
        self._marks = Marks(cursor)
        self._drifts = Drifts(cursor, settings, self._references, self._panels)
        self._batches = Batches(cursor, settings, self._columns, NONE)
        self._roster = Roster(cursor, self._rowset)
        self._step_s, self._span_s = 60, 60
        self._done_s = NONE
        self._given = [_NONE_GIVEN]

    @property
    def idle(self) -> bool:
        """Whether there is nothing to follow."""
        return not len(self._panels) and self._batches.idle and self._beside.idle

    # ---- opening ----------------------------------------------------------------------------

    def open(self, watermark_us: int) -> None:
        """Begin, or go on: declare the rules, and make their windows of the stored events."""
        settings, cursor = self._settings, self._cursor
        stamp = None if watermark_us == NEVER else watermark_us
        self._references.load()
        self._done_s = NONE if stamp is None else watermark_us // SECOND_US
        self._panels = Panels(self._columns, self._done_s)
        self._drifts = Drifts(cursor, settings, self._references, self._panels)
        rules = rules_of(settings)
        rules += self._drifts.default_rules(rules)
        cursor.execute("UPDATE metrics_log SET in_force = false")
        models = {model.id: model for model in settings.models}
        own = own_metrics(settings)
        declare_metrics(
            cursor,
            [
                *(rule.metric for rule in rules),
                *(
                    metric_of(own, models.get(m.model, ModelSettings(id=m.model)), m.name)
                    for m in settings.metrics
                ),
            ],
        )
        versioned = declare_rules(cursor, rules, stamp, whole=True)
        self._batches = Batches(cursor, settings, self._columns, self._done_s)
        for model in settings.models:
            if model.kind == "batch":
                self._batches.watch(model, self._roster.number(model.id))
        self._drifts.load()
        for each in versioned:
            self._follow(each, models.get(each.rule.model_id, ModelSettings(each.rule.model_id)))
        self._drifts.begin()
        spans = [panel.track.lookback_s + panel.track.step_s for panel in self._panels]
        self._span_s = max(spans, default=0) + 60
        self._marks.load(0 if self._done_s == NONE else self._done_s - self._span_s)
        steps = [panel.track.step_s for panel in self._panels]
        steps += [] if self._batches.idle else [BATCH_STEP_S]
        steps += self._beside.steps_s
        self._step_s = int(np.gcd.reduce(steps)) if steps else 60
        for model_id in self._beside.models:
            self._beside.watch(model_id, self._roster.number(model_id))
        self._roster.settle()
        if not self.idle:
            self._roster.rejoin(self._panels, stands(cursor), self._done_s)
            self._rebuild(watermark_us)
        self._batches.begin(self._rowset, watermark_us)
        self._beside.open(self._rowset, watermark_us)

    def change(self, settings: Settings, beside: "tuple[RowColumns, Beside] | None" = None) -> None:
        """Follow other rules from now on; to be opened next.

        Parameters
        ----------
        settings : Settings
        beside : tuple of RowColumns and Beside, optional
            What else follows the rows from now on, and what it asks of them. Without, that stays,
            and what rules have asked of the rows goes on to be read.
        """
        self._settings = settings
        if beside is not None:
            self._columns, self._beside = beside
            self._rowset = Rowset(self._cursor, self._columns)
        self._roster = Roster(self._cursor, self._rowset)

    def _follow(self, each: Versioned, model: ModelSettings) -> None:
        """Let a rule be followed, if there is what it needs."""
        drift, enabled = isinstance(each.rule.metric.tree, DriftQuery), each.rule.settings.enabled
        if model.id not in self._references.versions if drift else not enabled:
            return
        model_no = self._roster.number(model.id)
        if model.kind == "batch":
            if enabled:
                frozen = self._drifts.frozen(each, model) if drift else None
                self._batches.follow(each, model, model_no, frozen)
        elif drift:
            self._drifts.follow(each, model, model_no)
        else:
            self._panels.follow(each, names_of(model), model_no)

    def _rebuild(self, watermark_us: int) -> None:
        """Fill the windows from the stored events."""
        if not len(self._panels):
            return
        fresh = self._drifts.fresh
        self._drifts.record_only(fresh)
        since_us = watermark_us - self._span_s * SECOND_US
        recent = (
            f"greatest(event_time, coalesce(label_time, event_time)) >= make_timestamp({since_us})"
        )
        named = [n for n in (*self._columns.numbers, *self._columns.texts) if "labels." in n]
        for bounds in chunks(self._cursor):
            # The time of a named truth is not at hand there: then everything is looked at.
            # Without a watermark nothing was evaluated yet, and all of it is still to be.
            whole = named or fresh or watermark_us == NEVER
            where = bounds if whole else f"{bounds} AND {recent}"
            self._gather(self._rowset.of_store(MODEL_NO, where, watermark_us), 0)
        self._drifts.record_only(None)

    # ---- reference sets ---------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether there are reference rows that no version of their model's set holds."""
        return bool(self._references.pending)

    def note(self, others: pa.Table, first_seq: int) -> None:
        """Take note of reference rows and of complete batches; they are stored already."""
        self._references.note(others, first_seq)
        self._batches.note(others)

    def mark(self, times_us: Ints, first_seq: int) -> None:
        """Take note of the event times of a block's lines; NEVER where a line has none."""
        self._marks.note(times_us, first_seq)

    def freeze(self, watermark_us: int) -> None:
        """Freeze the reference sets that have new rows, and open anew with them."""
        self._references.load()
        self._references.freeze(None if watermark_us == NEVER else watermark_us)
        self.open(watermark_us)

    # ---- one block --------------------------------------------------------------------------

    def take(
        self,
        batch: Batch,
        rows: pa.Table,
        lines: Lines,
        touched: "tuple[npt.NDArray[np.bool_], pa.Table, bool] | None",
    ) -> None:
        """Take in the predictions and votes of a block, which are settled and stored already.

        Parameters
        ----------
        batch : Batch
        rows : pyarrow.Table
            Its predictions with the columns of events_log and `series_id`; registered as
            ``b_predictions`` with `fresh` and `counted`.
        lines : Lines
        touched : tuple or None
            Which predictions are fresh; the votes with their `seq`; whether predictions stand
            against each other. None: all are fresh and there are no votes.
        """
        if self.idle or not (len(rows) or touched):
            return
        places = pc.index_in(rows["series_id"], value_set=self._roster.watched)
        watched = np.asarray(pc.is_valid(places))
        model_no = np.asarray(places.fill_null(0)).astype(np.int64)
        arrival = lines.arrival_us[rows["ordinal"].to_numpy()]
        parts = []
        if watched.any():
            self._roster.join_models(self._panels, rows, watched, (model_no, arrival))
            found = self._rowset.of_block(batch, rows, watched, model_no, arrival)
            self._roster.join_groups(self._panels, found)
            if touched is not None and not touched[0].all():
                found = found.filter(pa.array(touched[0][watched]))
            parts.append(found)
        if touched is not None and self._steps(rows, lines, touched):
            parts.append(self._rowset.of_states(MODEL_NO).select(self._names()))
        if parts:
            found = pa.concat_tables([part.select(self._names()) for part in parts])
            self._gather(found, lines.first_seq)
            self._batches.gather(found)
            self._beside.gather(found)

    def _names(self) -> list[str]:
        columns = self._columns
        truths = [column_name("at", name) for name in columns.texts if name.startswith("labels.")]
        return [
            *("weight", "seq", "arrival_us", "changed", "model_no"),
            *sorted(columns.regular),
            *(column_name("n", name) for name in columns.numbers),
            *(column_name("t", name) for name in columns.texts),
            *truths,
        ]

    def _steps(
        self,
        rows: pa.Table,
        lines: Lines,
        touched: "tuple[npt.NDArray[np.bool_], pa.Table, bool]",
    ) -> bool:
        """Make the states of the touched ids of watched models."""
        fresh, votes, clash = touched
        again = rows.filter(pa.array(~fresh))
        ordinals = np.concatenate((again["ordinal"].to_numpy(), votes["ordinal"].to_numpy()))
        names = pa.chunked_array(
            [*again["series_id"].chunks, *votes["model_id"].chunks], pa.string()
        )
        known = pc.is_in(names, value_set=self._roster.watched)
        chosen = np.unique(ordinals[np.asarray(known)])
        if not len(chosen):
            return False
        table = pa.table(
            {
                "seq": pa.array(chosen.astype(np.int64) + lines.first_seq),
                "arrival_us": pa.array(lines.arrival_us[chosen]),
            }
        )
        self._cursor.register("b_arrivals", table)
        found = make_steps(self._cursor, self._horizon_us, self._step_s, clash=clash)
        self._cursor.unregister("b_arrivals")
        return found

    def _gather(self, rows: pa.Table, block_seq: int) -> None:
        if not len(rows):
            return
        self._cursor.register("w_rows", rows)
        present = set(np.unique(rows["model_no"].to_numpy()).tolist())
        due: list[tuple[Track, set[int]]] = []
        wanted: dict[str, Mapping[str, object]] = {}
        for panel in self._panels:
            models = present & panel.rules.keys() & self._roster.started.keys()
            for track in (panel.track, panel.coverage) if models else ():
                if track is not None:
                    due.append((track, models))
                    wanted.update(track.wanted)
        read = read_rows(self._cursor, rows, wanted)
        for track, models in due:
            watched = np.zeros(max(present) + 1, np.bool_)
            watched[list(models)] = True
            track.gather(read, watched)
        self._drifts.gather(present, block_seq)
        self._cursor.unregister("w_rows")

    # ---- boundaries -------------------------------------------------------------------------

    def advance(self, watermark_us: int, lines: Lines | None, next_seq: int) -> int:
        """Evaluate the boundaries up to the watermark; gives the number of alerts.

        Parameters
        ----------
        lines : Lines or None
            The block that moved it; None: time alone did.
        next_seq : int
            The number of the next line.
        """
        self._batches.declare(lines)
        if self.idle or watermark_us == NEVER:
            return 0
        self._done_s = watermark_us // SECOND_US
        self._given.append(self._beside.advance(watermark_us, lines, next_seq))
        of_batches = self._batches.advance(watermark_us, lines, next_seq)
        self._given.append(of_batches)
        evaluated, rows = [], []
        for panel in self._panels:
            evaluations, alerts = panel.evaluate(self._done_s)
            evaluated.append((evaluations, panel.ids, panel.track.lookback_s))
            if alerts.watcher:
                found = alert_rows(panel, alerts, lines, next_seq)
                rows.append(self._marks.placed(found))
        write_evaluations(self._cursor, evaluated)
        self._marks.forget(self._done_s - self._span_s)
        if not rows:
            return len(of_batches)
        found = pa.concat_tables(rows).sort_by(
            [("window_end", "ascending"), ("rule_id", "ascending"), ("group_value", "ascending")]
        )
        write_alerts(self._cursor, found)
        self._given.append(found.select(["alert_id", "model_id"]))
        return len(found) + len(of_batches)

    def take_alerts(self) -> pa.Table:
        """Give id and model of the alerts written since the last call: `alert_id`, `model_id`."""
        given, self._given = self._given, [_NONE_GIVEN]
        return pa.concat_tables(given)


_NONE_GIVEN = pa.table({name: pa.array([], pa.string()) for name in ("alert_id", "model_id")})
