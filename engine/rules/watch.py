"""The watch: all alert rules over the stream, from the rows of a block to alerts in the store.

The path of a block: models and groups seen for the first time join -> the rows of the block and the
states of touched ids become amounts in the windows of each track -> every boundary that the
watermark passes is evaluated, with exactly the lines before the one that passed it -> evaluations
and alerts are written, in the owner's transaction. Nothing is stored of the windows themselves:
`open` makes them anew from the stored events, for a rule that is new as for one that goes on.
"""

from collections.abc import Iterable

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.asking import number
from engine.batch import Batch
from engine.config import ModelSettings, Settings
from engine.panes import quoted
from engine.query.tree import DriftQuery
from engine.rules.alerting import Lines, alert_rows
from engine.rules.definition import metric_of, names_of, rules_of
from engine.rules.log import (
    declare_metrics,
    declare_rules,
    stands,
    write_alerts,
    write_evaluations,
)
from engine.rules.panel import Panel, Stand
from engine.rules.panels import Panels
from engine.rules.rowset import RowColumns, Rowset
from engine.rules.states import NONE, SECOND_US
from engine.rules.steps import make_steps
from engine.watermark import NEVER

__all__ = ["Watch"]

Ints = npt.NDArray[np.int64]

_CHUNK = 1 << 18


class Watch:
    """Follows the rules of the settings on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction whenever it is used.
    settings : Settings
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, settings: Settings) -> None:
        self._cursor = cursor
        self._settings = settings
        self._horizon_us = settings.time.label_horizon_us
        self._columns = RowColumns()
        self._rowset = Rowset(cursor, self._columns)
        self._panels = Panels(self._columns, NONE)
        self._models: list[str] = []
        self._numbers: dict[str, int] = {}
        self._started: dict[int, int] = {}
        self._groups: dict[tuple[int, str], set[str]] = {}
        self._step_s = 60
        self._watched = pa.array([], pa.string())
        self._done_s = NONE
        self._given: list[tuple[str, str]] = []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to follow."""
        return not len(self._panels)

    # ---- opening ----------------------------------------------------------------------------

    def open(self, watermark_us: int) -> None:
        """Begin, or go on: declare the rules, and make their windows of the stored events."""
        settings, cursor = self._settings, self._cursor
        stamp = None if watermark_us == NEVER else watermark_us
        rules = rules_of(settings)
        cursor.execute("UPDATE metrics_log SET in_force = false")
        models = {model.id: model for model in settings.models}
        declare_metrics(
            cursor,
            [
                *(rule.metric for rule in rules),
                *(
                    metric_of(settings, models.get(m.model, ModelSettings(id=m.model)), m.name)
                    for m in settings.metrics
                ),
            ],
        )
        versioned = declare_rules(cursor, rules, stamp, whole=True)
        self._done_s = NONE if stamp is None else watermark_us // SECOND_US
        self._panels = Panels(self._columns, self._done_s)
        for each in versioned:
            rule = each.rule
            if rule.settings.enabled and not isinstance(rule.metric.tree, DriftQuery):
                names = names_of(models.get(rule.model_id, ModelSettings(id=rule.model_id)))
                self._panels.follow(each, names, self._number(rule.model_id))
        self._settle()
        if not self.idle:
            self._rejoin(stands(cursor))
            self._rebuild(watermark_us)

    def _number(self, model_id: str) -> int:
        if model_id not in self._numbers:
            self._numbers[model_id] = len(self._models)
            self._models.append(model_id)
        return self._numbers[model_id]

    def _settle(self) -> None:
        self._watched = pa.array(self._models, pa.string())
        steps = [panel.track.step_s for panel in self._panels]
        self._step_s = int(np.gcd.reduce(steps)) if steps else 60
        self._cursor.register(
            "b_watched",
            pa.table(
                {
                    "model_id": self._watched,
                    "model_no": pa.array(range(len(self._models)), pa.int64()),
                }
            ),
        )
        self._cursor.execute("CREATE OR REPLACE TEMP TABLE watched AS FROM b_watched")
        self._cursor.unregister("b_watched")

    def _rejoin(self, before: dict[tuple[str, str | None], Stand]) -> None:
        """Let the models and groups that were known join again, where they stood."""
        rows = self._cursor.execute(
            "SELECT model_no, epoch_us(first_event) FROM models_known JOIN watched USING (model_id)"
            " WHERE first_event IS NOT NULL ORDER BY model_no"
        ).fetchall()
        self._started = dict(rows)
        for panel in self._panels:
            self._admit_stored_groups(panel)
        groups = self._cursor.execute(
            "SELECT model_no, property, group_value FROM rule_groups JOIN watched USING (model_id)"
            " ORDER BY place"
        ).fetchall()
        for model_no, name, group in groups:
            self._groups.setdefault((model_no, name), set()).add(group)
        for panel in self._panels:
            for model_no in panel.models:
                if model_no not in self._started:
                    continue
                joining = (
                    [None]
                    if panel.group is None
                    else [g for m, n, g in groups if (m, n) == (model_no, panel.group)]
                )
                for group in joining:
                    panel.join(
                        model_no, group, self._started[model_no], self._next_s(panel), before
                    )

    def _next_s(self, panel: Panel) -> int:
        step = panel.track.step_s
        return step if self._done_s == NONE else self._done_s // step * step + step

    def _admit_stored_groups(self, panel: Panel) -> None:
        """Find the groups of a property that no rule has asked for before, in order of lines."""
        if panel.group is None:
            return
        models = ", ".join(str(each) for each in panel.models)
        if number(
            self._cursor,
            "SELECT count(*) FROM rule_groups JOIN watched USING (model_id)"
            f" WHERE property = $name AND model_no IN ({models})",
            {"name": panel.group},
        ):
            return
        column = quoted("t:" + panel.group)
        for bounds in self._chunks():
            rows = self._rowset.of_store(_MODEL_NO, bounds, 0)
            self._cursor.register("w_rows", rows)
            found = self._cursor.execute(
                f"SELECT model_no, coalesce({column}, '__missing__') AS g, min(seq) AS seq"
                f" FROM w_rows WHERE model_no IN ({models}) GROUP BY ALL ORDER BY 3"
            ).fetchall()
            self._cursor.unregister("w_rows")
            self._note_groups(panel.group, [(model_no, group) for model_no, group, _ in found])

    def _note_groups(self, name: str, found: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
        new = []
        for model_no, group in found:
            known = self._groups.setdefault((model_no, name), set())
            if group not in known:
                known.add(group)
                new.append((model_no, group))
        for model_no, group in new:
            self._cursor.execute(
                "INSERT INTO rule_groups SELECT ?, ?, ?, count(*) FROM rule_groups",
                [self._models[model_no], name, group],
            )
        return new

    def _rebuild(self, watermark_us: int) -> None:
        """Fill the windows from the stored events."""
        if watermark_us == NEVER:
            return
        spans = [panel.track.lookback_s + panel.track.step_s for panel in self._panels]
        since_us = watermark_us - (max(spans) + 60) * SECOND_US
        recent = (
            f"greatest(event_time, coalesce(label_time, event_time)) >= make_timestamp({since_us})"
        )
        named = [n for n in (*self._columns.numbers, *self._columns.texts) if "labels." in n]
        for bounds in self._chunks():
            # The time of a named truth is not at hand there: then everything is looked at.
            where = bounds if named else f"{bounds} AND {recent}"
            self._gather(self._rowset.of_store(_MODEL_NO, where, watermark_us))

    def _chunks(self) -> list[str]:
        lines = number(self._cursor, "SELECT max(seq) + 1 FROM events_log")
        return [f"seq >= {low} AND seq < {low + _CHUNK}" for low in range(0, lines, _CHUNK)]

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
        places = pc.index_in(rows["series_id"], value_set=self._watched)
        watched = np.asarray(pc.is_valid(places))
        model_no = np.asarray(places.fill_null(0)).astype(np.int64)
        arrival = lines.arrival_us[rows["ordinal"].to_numpy()]
        parts = []
        if watched.any():
            self._join_models(rows, watched, model_no, arrival)
            found = self._rowset.of_block(batch, rows, watched, model_no, arrival)
            self._join_groups(found)
            if touched is not None and not touched[0].all():
                found = found.filter(pa.array(touched[0][watched]))
            parts.append(found)
        if touched is not None and self._steps(rows, lines, touched):
            parts.append(self._rowset.of_states(_MODEL_NO).select(self._names()))
        if parts:
            self._gather(pa.concat_tables([part.select(self._names()) for part in parts]))

    def _names(self) -> list[str]:
        columns = self._columns
        truths = [f"at:{name}" for name in columns.texts if name.startswith("labels.")]
        return [
            *("weight", "seq", "arrival_us", "changed", "model_no"),
            *sorted(columns.regular),
            *(f"n:{name}" for name in columns.numbers),
            *(f"t:{name}" for name in columns.texts),
            *truths,
        ]

    def _join_models(
        self, rows: pa.Table, watched: npt.NDArray[np.bool_], model_no: Ints, arrival: Ints
    ) -> None:
        where = np.flatnonzero(watched)
        present, first = np.unique(model_no[where], return_index=True)
        for number_, place in zip(present.tolist(), where[first].tolist(), strict=True):
            if number_ in self._started:
                continue
            first_us = int(rows["event_us"][place].as_py())
            self._started[number_] = first_us
            for panel in self._panels:
                if panel.group is None and number_ in panel.rules:
                    panel.join(number_, None, first_us, _behind(int(arrival[place]), panel))

    def _join_groups(self, found: pa.Table) -> None:
        """Let groups join that a prediction names for the first time, in order of lines."""
        names = {p.group for p in self._panels if p.group is not None}
        if not names:
            return
        self._cursor.register("w_rows", found)
        for name in sorted(names):
            column = quoted("t:" + name)
            pairs = self._cursor.execute(
                f"SELECT model_no, coalesce({column}, '__missing__') AS g, arg_min(arrival_us, seq)"
                " FROM w_rows GROUP BY ALL ORDER BY min(seq)"
            ).fetchall()
            arrivals = {(model_no, group): us for model_no, group, us in pairs}
            for model_no, group in self._note_groups(name, arrivals):
                for panel in self._panels:
                    if panel.group == name and model_no in panel.rules:
                        start = _behind(arrivals[model_no, group], panel)
                        panel.join(model_no, group, self._started[model_no], start)
        self._cursor.unregister("w_rows")

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
        known = pc.is_in(names, value_set=self._watched)
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

    def _gather(self, rows: pa.Table) -> None:
        if not len(rows):
            return
        self._cursor.register("w_rows", rows)
        present = set(np.unique(rows["model_no"].to_numpy()).tolist())
        for panel in self._panels:
            models = [each for each in panel.models if each in present and each in self._started]
            if models:
                listed = ", ".join(map(str, models))
                panel.track.gather(self._cursor, listed)
                if panel.coverage is not None:
                    panel.coverage.gather(self._cursor, listed)
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
        if self.idle or watermark_us == NEVER:
            return 0
        self._done_s = watermark_us // SECOND_US
        rows: list[dict[str, object]] = []
        for panel in self._panels:
            evaluations, alerts = panel.evaluate(self._done_s)
            write_evaluations(self._cursor, evaluations, panel.ids, panel.track.lookback_s)
            rows += alert_rows(panel, alerts, lines, next_seq)
        if rows:
            rows.sort(key=lambda row: (row["window_end"], row["rule_id"], row["group_value"] or ""))
            write_alerts(self._cursor, rows)
            self._given += [(str(row["alert_id"]), str(row["model_id"])) for row in rows]
        return len(rows)

    def take_alerts(self) -> pa.Table:
        """Give id and model of the alerts written since the last call: `alert_id`, `model_id`."""
        given, self._given = self._given, []
        return pa.table(
            {
                "alert_id": pa.array([alert for alert, _ in given], pa.string()),
                "model_id": pa.array([model for _, model in given], pa.string()),
            }
        )


_MODEL_NO = "(SELECT w.model_no FROM watched w WHERE w.model_id = e.model_id)"


def _behind(arrival_us: int, panel: Panel) -> int:
    """Give the first boundary behind the watermark that a line has left."""
    step = panel.track.step_s
    return arrival_us // (step * SECOND_US) * step + step
