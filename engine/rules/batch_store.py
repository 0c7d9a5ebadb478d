"""What the store knows of batches: which are done, which are open, which were declared complete."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from engine.asking import first
from engine.rules.roster import MODEL_NO

__all__ = ["COMPLETE", "BatchStore", "declarations"]

COMPLETE = ("complete", "completed", "closed", "uploaded")
"""Values of `status`, in any case, that declare a batch complete."""

Key = tuple[int, str]

_STAMP = pa.timestamp("us")
_CHUNK = 1 << 18
_HELD = "(SELECT * FROM events_stored ANTI JOIN events_retired USING (seq)) e"


def declarations(others: pa.Table) -> list[tuple[int, str, str]]:
    """Give (ordinal, model, batch) of the events of a block that declare a batch complete."""
    found = []
    for ordinal, kind, model_id, raw in zip(
        *(others[name].to_pylist() for name in ("ordinal", "type", "model_id", "raw")), strict=True
    ):
        batch_id = _declared(raw) if kind == "model" else None
        if batch_id is not None:
            found.append((ordinal, model_id, batch_id))
    return found


def _declared(raw: str) -> str | None:
    """Give the batch that the JSON of a `model` event declares complete, if it does."""
    event = json.loads(raw)
    status, batch_id = event.get("status"), event.get("batch_id")
    whole = isinstance(batch_id, int) and not isinstance(batch_id, bool)
    if not isinstance(status, str) or status.lower() not in COMPLETE:
        return None
    named = isinstance(batch_id, str) and batch_id
    return str(batch_id) if named or whole else None


class BatchStore:
    """Asks and tells the store of batches, on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        With the table `watched` (`engine.rules.roster`).
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    # ---- at a start -------------------------------------------------------------------------

    def settle(self, models: Sequence[tuple[str, int]], last_s: int | None) -> None:
        """Say which models are followed; what was complete before a model was is done for it.

        Parameters
        ----------
        models : sequence of tuple
            Id and lookback in seconds of each batch model.
        last_s : int or None
            The last boundary that was passed.
        """
        cursor = self._cursor
        cursor.register(
            "b_models",
            pa.table(
                {
                    "model_id": pa.array([model_id for model_id, _ in models], pa.string()),
                    "lookback_s": pa.array([lookback_s for _, lookback_s in models], pa.int64()),
                }
            ),
        )
        cursor.execute(
            "DELETE FROM batches_done WHERE batch_id IS NULL"
            " AND model_id NOT IN (SELECT model_id FROM b_models)"
        )
        if last_s is not None:
            cursor.execute(
                "INSERT INTO batches_done SELECT model_id, batch_id, make_timestamp($last_us)"
                f" FROM ({_BEFORE}) ANTI JOIN batches_done d USING (model_id, batch_id)",
                {"last_us": last_s * 1_000_000},
            )
        cursor.execute(
            "INSERT INTO batches_done SELECT model_id, NULL, NULL FROM b_models"
            " WHERE model_id NOT IN (SELECT model_id FROM batches_done WHERE batch_id IS NULL)"
        )
        cursor.unregister("b_models")

    def declared(self, model_no: Iterable[int]) -> list[Key]:
        """Give the batches that were declared complete and are not done."""
        listed = ", ".join(map(str, model_no))
        rows = self._cursor.execute(
            f"SELECT model_no, raw FROM (SELECT {MODEL_NO} AS model_no, raw, seq"
            " FROM other_events e WHERE type = 'model')"
            f" WHERE model_no IN ({listed}) ORDER BY seq"
        ).fetchall()
        keys = [(number, _declared(raw)) for number, raw in rows]
        named = dict.fromkeys((number, batch) for number, batch in keys if batch is not None)
        done = self.done(list(named))
        return [key for key in named if key not in done]

    def open(self, model_no: Iterable[int]) -> list[str]:
        """Make the table `open_batches` and give conditions on ``e`` for all of their rows."""
        listed = ", ".join(map(str, model_no))
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE open_batches AS"
            " SELECT w.model_no, e.model_id, e.batch_id, min(e.seq) AS low, max(e.seq) AS high"
            f" FROM {_HELD} JOIN watched w USING (model_id)"
            " ANTI JOIN batches_done d ON d.model_id = e.model_id AND d.batch_id = e.batch_id"
            f" WHERE e.batch_id IS NOT NULL AND w.model_no IN ({listed}) GROUP BY ALL"
        )
        bounds = first(self._cursor, "SELECT min(low), max(high) FROM open_batches")
        if bounds is None or bounds[0] is None:
            return []
        return [
            f"seq >= {low} AND seq < {low + _CHUNK} AND batch_id IS NOT NULL"
            " AND (model_no, batch_id) IN (SELECT model_no, batch_id FROM open_batches)"
            for low in range(bounds[0], bounds[1] + 1, _CHUNK)
        ]

    # ---- on the way -------------------------------------------------------------------------

    def done(self, keys: Sequence[Key]) -> set[Key]:
        """Give those of the batches that are done."""
        if not keys:
            return set()
        self._cursor.register("b_keys", _keys(keys))
        rows = self._cursor.execute(
            "SELECT k.model_no, k.batch_id FROM b_keys k JOIN watched USING (model_no)"
            " SEMI JOIN batches_done USING (model_id, batch_id)"
        ).fetchall()
        self._cursor.unregister("b_keys")
        return set(rows)

    def finish(self, keys: Sequence[Key], times_s: Sequence[int]) -> None:
        """Note that batches are done."""
        if not keys:
            return
        completed = pa.array([time_s * 1_000_000 for time_s in times_s], pa.int64()).cast(_STAMP)
        table: pa.Table = _keys(keys).append_column("completed", completed)
        self._cursor.register("b_keys", table)
        self._cursor.execute(
            "INSERT INTO batches_done SELECT model_id, batch_id, completed"
            " FROM b_keys JOIN watched USING (model_no)"
        )
        self._cursor.unregister("b_keys")

    def first_line(self, model_id: str, batch_id: str, last: int) -> int | None:
        """Give the number of the first line, up to line `last`, that brought a row of a batch."""
        found = first(
            self._cursor,
            "SELECT min(seq) FROM events_stored WHERE model_id = $model_id AND batch_id = $batch_id"
            " AND seq <= $last",
            {"model_id": model_id, "batch_id": batch_id, "last": last},
        )
        return None if found is None else found[0]


def _keys(keys: Sequence[Key]) -> pa.Table:
    numbers: pa.Array[Any] = pa.array([number for number, _ in keys], pa.int64())
    return pa.table({"model_no": numbers, "batch_id": pa.array([b for _, b in keys], pa.string())})


_STATUSES = ", ".join(f"'{status}'" for status in COMPLETE)

# Of models that were not followed until now.
_BEFORE = f"""
WITH new AS (
    SELECT * FROM b_models
    WHERE model_id NOT IN (SELECT model_id FROM batches_done WHERE batch_id IS NULL)
)
SELECT e.model_id, e.batch_id FROM {_HELD} JOIN new USING (model_id)
WHERE e.batch_id IS NOT NULL GROUP BY ALL
HAVING max(e.event_time) + to_seconds(any_value(new.lookback_s)) <= make_timestamp($last_us)
UNION
SELECT o.model_id, raw ->> '$.batch_id' FROM other_events o JOIN new USING (model_id)
WHERE type = 'model' AND lower(raw ->> '$.status') IN ({_STATUSES})
    AND raw ->> '$.batch_id' IS NOT NULL"""
