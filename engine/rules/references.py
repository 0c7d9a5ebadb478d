"""Reference sets: what each model is compared with, frozen in versions.

Reference rows are events of the type ``reference``, from the stream or from the files that a model
names. A version is all of a model's reference rows up to a line. It is made at the first line that
is no reference row behind some that are new; bins are frozen with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from engine.panes import NUMBERS, text
from engine.query.columns import StoredColumns, rows_sql
from engine.query.compile import filter_of
from engine.query.expressions import Scope
from engine.query.extracted import Extracted
from engine.query.names import ModelNames
from engine.query.tree import Condition

__all__ = ["References", "Version"]


@dataclass(frozen=True, slots=True)
class Version:
    """A frozen reference set: the rows of a model up to the line `through_seq`."""

    model_id: str
    version: int
    through_seq: int


class References:
    """The reference sets on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.

    Attributes
    ----------
    versions : dict of str to Version
        The newest one of each model.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self.versions: dict[str, Version] = {}
        self._newest: dict[str, int] = {}
        self._features: dict[Version, dict[str, str]] = {}

    def load(self) -> None:
        """Read the versions, and which models have rows beyond theirs."""
        self.versions = {
            model: Version(model, version, seq)
            for model, version, seq in self._cursor.execute(
                "SELECT model_id, max(version), max(through_seq) FROM reference_versions"
                " GROUP BY model_id ORDER BY model_id"
            ).fetchall()
        }
        self._newest = dict(
            self._cursor.execute(
                "SELECT model_id, max(seq) FROM other_events WHERE type = 'reference'"
                " AND model_id IS NOT NULL GROUP BY model_id"
            ).fetchall()
        )

    def note(self, others: pa.Table, first_seq: int) -> None:
        """Take note of the reference rows of a block, which are stored already."""
        for ordinal, kind, model in zip(
            others["ordinal"].to_numpy().tolist(),
            others["type"].to_pylist(),
            others["model_id"].to_pylist(),
            strict=True,
        ):
            if kind == "reference" and model is not None:
                self._newest[model] = first_seq + ordinal

    @property
    def pending(self) -> list[str]:
        """Models with reference rows that no version holds."""
        return sorted(
            model
            for model, seq in self._newest.items()
            if model not in self.versions or self.versions[model].through_seq < seq
        )

    def freeze(self, watermark_us: int | None) -> None:
        """Make a version of each model that has new reference rows."""
        for model in self.pending:
            before = self.versions.get(model)
            version = Version(model, before.version + 1 if before else 1, self._newest[model])
            self.versions[model] = version
            self._cursor.execute(
                "INSERT INTO reference_versions SELECT $model, $version, $through, count(*),"
                f" make_timestamp($at) FROM ({self._rows(version, ModelNames(model))})",
                {
                    "model": model,
                    "version": version.version,
                    "through": version.through_seq,
                    "at": watermark_us,
                },
            )

    def features(self, model_id: str) -> dict[str, str]:
        """Give the features of a reference set: qualified name to ``number`` or ``category``."""
        version = self.versions[model_id]
        if version in self._features:
            return self._features[version]
        rows = self._cursor.execute(
            f"SELECT j.key, count(*) FILTER (j.type IN {NUMBERS}),"
            " count(*) FILTER (j.type IN ('VARCHAR', 'BOOLEAN'))"
            f" FROM ({self._rows(version, ModelNames(model_id))}) r,"
            " json_each(r.raw, '$.features') j GROUP BY j.key ORDER BY j.key"
        ).fetchall()
        self._features[version] = {
            f"features.{key}": "number" if not texts else "category"
            for key, numbers, texts in rows
            if numbers or texts
        }
        return self._features[version]

    def kind(self, model_id: str, name: str) -> str:
        """Tell whether a property is a ``number`` in every row that has it, or a ``category``."""
        columns = StoredColumns(ModelNames(model_id))
        rows = self._cursor.execute(
            f"SELECT count({columns.number(name)}), count({columns.text(name)})"
            f" FROM ({self._rows(self.versions[model_id], columns.names)}) r"
        ).fetchall()
        numbers, texts = rows[0]
        return "number" if numbers and numbers == texts else "category"

    def columns(
        self,
        names: ModelNames,
        wanted: Mapping[str, str],
        conditions: Sequence[Condition] = (),
    ) -> pa.Table:
        """Read properties of a model's reference set, a row each, in order of time.

        Parameters
        ----------
        names : ModelNames
        wanted : mapping of str to str
            Property to ``number`` or ``category``: a column of its name, DOUBLE or VARCHAR, NULL
            where a row lacks it.
        conditions : sequence of Condition
            Which rows.
        """
        stored = Extracted(names)
        scope = Scope(names, stored)
        where = filter_of(tuple(conditions), scope)
        listed = ", ".join(
            f"{stored.number(name) if kind == 'number' else stored.text(name)} AS c{place}"
            for place, (name, kind) in enumerate(wanted.items())
        )
        # Truths are compared with truths: a row that has none is not missing one.
        where += "".join(
            f" AND {stored.text(name)} IS NOT NULL"
            for name in wanted
            if name == "label" or name.startswith("labels.")
        )
        rows = self._rows(self.versions[names.model_id], names)
        found: pa.Table = self._cursor.sql(
            f"SELECT {listed} FROM ({stored.relation(rows)}) r WHERE {where}"
            " ORDER BY r.event_time, r.seq",
            params=scope.parameters,
        ).to_arrow_table()
        # Arrow would cut a name of its own at its first NUL.
        return found.rename_columns(list(wanted))

    def _rows(self, version: Version, names: ModelNames) -> str:
        """Select the rows of a version."""
        every = rows_sql(names, "reference")
        mine = f"WHERE type = 'reference' AND model_id = {text(names.model_id)}"
        return every.replace(mine, f"{mine} AND seq <= {version.through_seq}")
