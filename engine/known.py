"""The models, classes and properties known so far, and what happens beyond their limits.

New names are admitted in the order in which they come until the limit is reached; all others are
counted under `__other__` (a mistaken pair of two unknown classes under `__other__` / `__another__`,
so that it is not taken for a hit). What is over a limit is counted, never dropped, and reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from engine.asking import first, number
from engine.config import Limits, ModelSettings, TimeSettings

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
    _classes: dict[str, int] = field(default_factory=dict)
    _properties: int = 0

    def load(self) -> None:
        """Read what was admitted before; must be called once, and after a rollback."""
        cursor = self.cursor
        self._models = {
            m for (m,) in cursor.execute("SELECT model_id FROM models_known").fetchall()
        }
        self._classes = dict(
            cursor.execute("SELECT model_id, count(*) FROM model_classes GROUP BY 1").fetchall()
        )
        self._properties = number(cursor, "SELECT count(*) FROM model_properties")
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

    def admit_classes(self) -> None:
        """Admit the classes of `t_cells`; where a model has too many, rename in its work tables."""
        found = self.cursor.execute(
            "SELECT DISTINCT model_id, class FROM ("
            " SELECT model_id, label AS class FROM t_cells WHERE both_classes"
            " UNION ALL SELECT model_id, prediction FROM t_cells WHERE both_classes)"
            " ANTI JOIN model_classes USING (model_id, class) ORDER BY ALL"
        ).fetchall()
        admitted = []
        for model_id, name in found:
            count = self._classes.get(model_id, 0)
            if count >= self.limits.classes:
                self._reach("classes")
                continue
            self._classes[model_id] = count + 1
            admitted.append((model_id, name))
        if admitted:
            self._insert_classes([(model, name, None) for model, name in admitted])
        if "classes" in self.over:
            for table in ("t_cells", "t_bins"):
                self.cursor.execute(_RENAME.format(table=table))

    def admit_properties(self) -> None:
        """Admit the properties of `t_values`; rename there those beyond the limit."""
        new = self.cursor.sql(
            "SELECT DISTINCT model_id, property FROM t_values"
            " ANTI JOIN model_properties USING (model_id, property) ORDER BY ALL"
        ).to_arrow_table()
        room = max(self.limits.series - self._properties, 0)
        if len(new) > room:
            self._reach("series")
            new = new.slice(0, room)
        if len(new):
            self._insert("model_properties", new)
            self._properties += len(new)
        if "series" in self.over:
            self.cursor.execute(
                f"UPDATE t_values SET property = '{OTHER}' WHERE NOT EXISTS (SELECT 1 FROM"
                " model_properties k WHERE k.model_id = t_values.model_id"
                " AND k.property = t_values.property)"
            )

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
        for model_id, *_ in declared:
            self._classes[model_id] = self._classes.get(model_id, 0) + 1
        if declared:
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


_UNKNOWN = (
    "NOT EXISTS (SELECT 1 FROM model_classes k WHERE k.model_id = {table}.model_id"
    " AND k.class = {table}.{column})"
)

_RENAME = (
    "UPDATE {table} SET"
    " label = CASE WHEN "
    + _UNKNOWN.replace("{column}", "label")
    + f" THEN '{OTHER}' ELSE label END,"
    " prediction = CASE WHEN "
    + _UNKNOWN.replace("{column}", "prediction")
    + f" THEN CASE WHEN label = prediction THEN '{OTHER}' WHEN "
    + _UNKNOWN.replace("{column}", "label")
    + f" THEN '{ANOTHER}' ELSE '{OTHER}' END ELSE prediction END"
)
