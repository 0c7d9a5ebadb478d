"""The models, classes and properties known so far, and what happens beyond their limits.

New names are admitted in the order in which they come until the limit is reached; all others are
counted under `__other__` (a mistaken pair of two unknown classes under `__other__` / `__another__`,
so that it is not taken for a hit). What is over a limit is counted, never dropped, and reported.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from engine.arrays import Array
from engine.asking import first
from engine.config import Limits, ModelSettings, TimeSettings
from engine.label_amounts import LabelAmounts
from engine.pairs import Pairs

__all__ = ["ANOTHER", "OTHER", "Known"]

OTHER = "__other__"
"""The name of all that is beyond a limit."""

ANOTHER = "__another__"
"""The prediction of a mistaken pair of two classes beyond the limit; the label is `OTHER`."""


@dataclass(slots=True)
class Known:
    """Admits names on the cursor of the engine, inside its owner's transaction.

    Attributes
    ----------
    over : set of str
        The limits reached so far, by name, for the report.
    """

    cursor: duckdb.DuckDBPyConnection
    limits: Limits
    time: TimeSettings
    declared: dict[str, ModelSettings]
    over: set[str] = field(default_factory=set)
    _models: set[str] = field(default_factory=set)
    _classes: Pairs = field(default_factory=Pairs)
    _properties: Pairs = field(default_factory=Pairs)

    def load(self) -> None:
        """Read what was admitted before; must be called once, and after a rollback."""
        cursor = self.cursor
        self._models = {
            m for (m,) in cursor.execute("SELECT model_id FROM models_known").fetchall()
        }
        self._classes = Pairs.of(cursor, "SELECT model_id, class FROM model_classes")
        self._properties = Pairs.of(cursor, "SELECT model_id, property FROM model_properties")
        known_over = "SELECT value FROM settings WHERE name = 'limits_reached'"
        stored = first(cursor, known_over)
        self.over = set(stored[0].split()) if stored else set()

    def series(self) -> str:
        """Give SQL over `e.model_id` for the series that an event is counted under."""
        if "models" not in self.over:
            return "e.model_id"
        return (
            "CASE WHEN e.model_id IN (SELECT model_id FROM models_known)"
            f" THEN e.model_id ELSE '{OTHER}' END"
        )

    @property
    def renames_models(self) -> bool:
        """Whether some models are counted under another name, being over the limit."""
        return "models" in self.over

    def admit_models(self, predictions: pa.Table) -> "pa.ChunkedArray[Any]":
        """Admit the models of a block; gives the series id of each row."""
        ids = predictions["model_id"]
        names = (str(name) for name in pc.unique(ids).to_pylist())
        new = [name for name in names if name not in self._models]
        admitted = len(self._models) - (OTHER in self._models)
        room = max(self.limits.models - admitted, 0)
        self._write_models(new[:room], _first_lines(predictions, new[:room]))
        if len(new) > room:
            self._reach("models")
            self._write_models([OTHER], {})
        if not self.over & {"models"}:
            return ids
        known = pc.is_in(ids, value_set=pa.array(sorted(self._models), pa.string()))
        renamed: pa.ChunkedArray[Any] = pc.if_else(known, ids, OTHER)
        return renamed

    def admit_classes(self, amounts: LabelAmounts) -> LabelAmounts:
        """Admit the classes of the cells; where a model has too many, rename what is beyond."""
        cells = amounts.cells
        models, names = (
            pa.chunked_array([*cells[one].chunks, *cells[other].chunks], pa.string())
            for one, other in (("model_id", "model_id"), ("label", "prediction"))
        )
        admitted = []
        count = Counter[str]()
        for model_id, name in self._classes.new(models, names):
            if self._classes.count(model_id) + count[model_id] >= self.limits.classes:
                self._reach("classes")
                continue
            count[model_id] += 1
            admitted.append((model_id, name))
        if admitted:
            self._classes.add(admitted)
            self._insert_classes([(*pair, None) for pair in admitted])
        if "classes" not in self.over:
            return amounts
        renamed = [self._renamed(table) for table in (cells, amounts.bins)]
        return replace(amounts, cells=renamed[0], bins=renamed[1])

    def _renamed(self, rows: pa.Table) -> pa.Table:
        """Rename the classes beyond the limit."""
        model = rows["model_id"]
        label, prediction = rows["label"], rows["prediction"]
        knows_label, knows_prediction = (
            pa.array(self._classes.has(model, column)) for column in (label, prediction)
        )
        same: Array = pc.equal(label, prediction)
        other = pc.if_else(pc.or_(same.fill_null(fill_value=False), knows_label), OTHER, ANOTHER)
        for name, column in (
            ("label", pc.if_else(knows_label, label, OTHER)),
            ("prediction", pc.if_else(knows_prediction, prediction, other)),
        ):
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        return rows

    def admit_properties(self, values: pa.Table) -> pa.Table:
        """Admit the properties of `values` (`engine.amounts`); rename those beyond the limit."""
        new = self._properties.new(values["model_id"], values["property"])
        room = max(self.limits.series - self._properties.total, 0)
        if len(new) > room:
            self._reach("series")
            new = new[:room]
        if new:
            self._properties.add(new)
            columns = {
                "model_id": pa.array([model for model, _ in new], pa.string()),
                "property": pa.array([name for _, name in new], pa.string()),
            }
            self._insert("model_properties", pa.table(columns))
        if "series" not in self.over:
            return values
        kept = pa.array(self._properties.has(values["model_id"], values["property"]))
        names = pc.if_else(kept, values["property"], OTHER)
        return _merged(values.set_column(2, "property", names))

    def _write_models(
        self, names: Sequence[str], firsts: Mapping[str, tuple[str | None, int]]
    ) -> None:
        new = [name for name in names if name not in self._models]
        if not new:
            return
        self._models.update(new)
        told = [self.declared.get(name, ModelSettings(id=name)) for name in new]
        rows = pa.table(
            {
                "model_id": pa.array(new, pa.string()),
                "job_id": pa.array(
                    [model.job or firsts.get(model.id, _NOTHING)[0] for model in told],
                    pa.string(),
                ),
                "positive": pa.array([model.positive for model in told], pa.string()),
                "positive_property": pa.array([m.positive_property for m in told], pa.string()),
                "threshold": pa.array([model.threshold for model in told], pa.float64()),
                "lookback_s": pa.array([m.lookback_s or self.time.lookback_s for m in told]),
                "step_s": pa.array([model.step_s or self.time.step_s for model in told]),
                "first_event": pa.array(
                    [firsts.get(model.id, _NOTHING)[1] for model in told], pa.timestamp("us")
                ),
            }
        )
        self._insert("models_known", rows)
        declared = [
            (model.id, name, place)
            for model in told
            for place, name in enumerate(model.classes[: self.limits.classes])
        ]
        if declared:
            self._classes.add((model_id, name) for model_id, name, _ in declared)
            self._insert_classes(declared)

    def _insert_classes(self, rows: Sequence[tuple[str, str, int | None]]) -> None:
        columns = {
            "model_id": pa.array([model for model, _, _ in rows], pa.string()),
            "class": pa.array([name for _, name, _ in rows], pa.string()),
            "place": pa.array([place for _, _, place in rows], pa.int32()),
        }
        self._insert("model_classes", pa.table(columns))

    def _insert(self, table: str, rows: pa.Table) -> None:
        self.cursor.register("b_new", rows)
        self.cursor.execute(f"INSERT INTO {table} SELECT * FROM b_new")
        self.cursor.unregister("b_new")

    def _reach(self, limit: str) -> None:
        if limit in self.over:
            return
        self.over.add(limit)
        self.cursor.execute(
            "INSERT OR REPLACE INTO settings VALUES ('limits_reached', ?)",
            [" ".join(sorted(self.over))],
        )


_NOTHING: tuple[str | None, int | None] = (None, None)


def _first_lines(predictions: pa.Table, names: Sequence[str]) -> dict[str, tuple[str | None, int]]:
    """Give job and event time (µs) of the first prediction of some models in a block."""
    if not names:
        return {}
    rows = predictions.select(["model_id", "job_id", "event_us"])
    rows = rows.filter(pc.is_in(rows["model_id"], value_set=pa.array(names, pa.string())))
    found = zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True)
    return {str(model): (job, int(us)) for model, job, us in reversed(list(found))}


def _merged(values: pa.Table) -> pa.Table:
    """Put together the values of one property and pane; sums in ascending order of their parts."""
    keys = ["model_id", "pane_s", "property"]
    order: Array = [(name, "ascending") for name in (*keys, "sum")]
    parts: Array = [("count", "sum"), ("sum", "sum"), ("min", "min"), ("max", "max")]
    merged = values.sort_by(order).group_by(keys, use_threads=False).aggregate(parts)
    return merged.select([*keys, *(f"{name}_{how}" for name, how in parts)]).rename_columns(
        values.column_names
    )
