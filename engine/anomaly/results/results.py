"""The results of anomaly jobs in the store: written, restated by late rows, forgotten.

Rows are collected and written together, some thousand buckets at once. Interim
rows stand until their bucket closes: a newer row of the same bucket replaces them, and so does any
closed bucket that is not before them, since buckets close in order.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.anomaly.results.moves import Change
from engine.anomaly.results.rescoring import rescore, undo
from engine.anomaly.results.result_rows import BucketRows, stamps, tables
from engine.anomaly_tables import RESULT_TABLES
from engine.asking import number

__all__ = ["RecordKeys", "Results"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_SECOND_US = 1_000_000
_HELD_MAX = 32 << 20  # bytes of histories that wait
_WAITING_MAX = 4_096  # buckets: a gap of a year is written in pieces
_FAR_S = 253_402_300_799  # the last second of year 9999: of no buckets the first


@dataclass(frozen=True, slots=True, eq=False)
class RecordKeys:
    """Stored records; shape (n,) each, in the order of all four.

    Attributes
    ----------
    start_s : int64
        Their buckets.
    detector_index : int64
    function_description : object
        What was measured.
    scope : int64
    """

    start_s: Codes
    detector_index: Codes
    function_description: npt.NDArray[np.object_]
    scope: Codes

    def __len__(self) -> int:
        return len(self.start_s)


class Results:
    """Writes results; works on the owner's cursor, inside the owner's transaction.

    After a roll-back a new one is to be made.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._waiting: dict[tuple[str, int], BucketRows] = {}
        self._changes: list[Change] = []
        self._held = 0
        # Buckets that have interim rows in the store.
        self._interim: set[tuple[str, int]] = {
            (job_id, start_us // _SECOND_US)
            for job_id, start_us in cursor.execute(
                "SELECT job_id, epoch_us(timestamp) FROM bucket_results WHERE is_interim"
            ).fetchall()
        }

    def add(self, rows: BucketRows) -> None:
        """Take the rows of a bucket; a bucket that is added twice counts as it was added last."""
        if len(self._waiting) >= _WAITING_MAX:
            self.flush()
        key = rows.job_id, rows.start_s
        self._waiting.pop(key, None)
        self._waiting[key] = rows

    def rescore(self, change: Change) -> None:
        """Score stored rows anew, once they are written; changes come in order of time.

        Each works as if it had been made right now: rows of later buckets are not its concern.
        """
        self._changes.append(change)
        self._held += change.nbytes
        if self._held > _HELD_MAX:
            self.flush()

    def flush(self) -> None:
        """Write all that was added, in the order in which it was, then what changes older rows."""
        if self._waiting:
            rows = self._outlasting()
            self._waiting = {}
            for name, table in tables(rows).items():
                self._insert(name, table)
            self._interim.update((row.job_id, row.start_s) for row in rows if row.is_interim)
        changes, self._changes, self._held = self._changes, [], 0
        rescore(self._cursor, changes)

    def _insert(self, name: str, table: pa.Table) -> None:
        if table.num_rows:
            self._cursor.register("b_results", table)
            self._cursor.execute(f"INSERT INTO {name} BY NAME SELECT * FROM b_results")
            self._cursor.unregister("b_results")

    def _outlasting(self) -> list[BucketRows]:
        """Drop the interim rows that are over, stored or not; give those that are to be written."""
        closed: dict[str, int] = {}
        for row in self._waiting.values():
            if not row.is_interim:
                closed[row.job_id] = max(row.start_s, closed.get(row.job_id, row.start_s))

        def over(job_id: str, start_s: int) -> bool:
            return job_id in closed and start_s <= closed[job_id]

        self._drop({key for key in self._interim if over(*key) or key in self._waiting})
        return [
            row
            for row in self._waiting.values()
            if not (row.is_interim and over(row.job_id, row.start_s))
        ]

    def _drop(self, interim: Iterable[tuple[str, int]]) -> None:
        doomed = sorted(interim)
        if not doomed:
            return
        starts = [start_s for _, start_s in doomed]
        table = pa.table(
            {
                "job_id": pa.array([job_id for job_id, _ in doomed], pa.string()),
                "timestamp": stamps(starts),
            }
        )
        self._cursor.register("b_doomed", table)
        for name in RESULT_TABLES:
            self._cursor.execute(
                f"DELETE FROM {name} t USING b_doomed d WHERE t.is_interim"
                " AND t.job_id = d.job_id AND t.timestamp = d.timestamp"
                " AND t.timestamp >= make_timestamp($low)",
                {"low": min(starts) * _SECOND_US},
            )
        self._cursor.unregister("b_doomed")
        self._interim.difference_update(doomed)

    def restate(self, job_id: str, start_s: Codes, events: Codes) -> int:
        """Add rows that came late to the counts of their closed buckets (ELi-13).

        Parameters
        ----------
        start_s : int64, shape (n,)
            Distinct; of buckets without a row only the number of rows is told.
        events : int64, shape (n,)
            Rows that came; negative: that were taken back.

        Returns
        -------
        int
            How many more late rows there are: per bucket those that came, less those that were
            taken back, but at least 0. So a label that moves a row to a later bucket is none.
        """
        if not len(start_s):
            return 0
        self.flush()
        self._cursor.register(
            "b_late", pa.table({"timestamp": stamps(start_s), "events": pa.array(events)})
        )
        told = {"job": job_id, "low": int(start_s.min()) * _SECOND_US}
        closed = "job_id = $job AND NOT is_interim AND timestamp >= make_timestamp($low)"
        more = number(
            self._cursor,
            "SELECT sum(greatest(coalesce(late_event_count, 0) + events, 0)"
            " - greatest(coalesce(late_event_count, 0), 0))::BIGINT FROM b_late"
            f" LEFT JOIN (SELECT * FROM bucket_results WHERE {closed}) USING (timestamp)",
            told,
        )
        self._cursor.execute(
            "UPDATE bucket_results AS b SET event_count = event_count + late.events,"
            " late_event_count = late_event_count + late.events FROM b_late late"
            " WHERE b.timestamp = late.timestamp AND job_id = $job AND NOT is_interim"
            " AND b.timestamp >= make_timestamp($low)",
            told,
        )
        self._cursor.unregister("b_late")
        return more

    def records_of(self, job_id: str, start_s: Codes) -> RecordKeys:
        """Give the records that closed buckets have.

        Parameters
        ----------
        start_s : int64, shape (n,)
            The buckets; may repeat.
        """
        self.flush()
        self._cursor.register("b_starts", pa.table({"timestamp": stamps(np.unique(start_s))}))
        found = self._cursor.execute(
            "SELECT epoch_us(timestamp) // 1000000 AS start_s, detector_index::BIGINT AS detector,"
            " function_description, scope FROM record_results SEMI JOIN b_starts USING (timestamp)"
            " WHERE job_id = $job AND NOT is_interim AND timestamp >= make_timestamp($low)"
            " ORDER BY ALL",
            {"job": job_id, "low": int(start_s.min(initial=_FAR_S)) * _SECOND_US},
        ).fetchnumpy()
        self._cursor.unregister("b_starts")
        return RecordKeys(
            np.asarray(found["start_s"], np.int64),
            np.asarray(found["detector"], np.int64),
            np.asarray(found["function_description"], np.object_),
            np.asarray(found["scope"], np.int64),
        )

    def restate_actual(self, job_id: str, keys: RecordKeys, actual: Numbers) -> None:
        """Set what the rows of closed buckets, late ones included, amount to; scores stay.

        Parameters
        ----------
        actual : float64, shape (n,)
            Of each key; NaN where there is no value any more.
        """
        if not len(keys):
            return
        self.flush()
        table = pa.table(
            {
                "timestamp": stamps(keys.start_s),
                "detector_index": pa.array(keys.detector_index),
                "function_description": pa.array(list(keys.function_description), pa.string()),
                "scope": pa.array(keys.scope),
                "actual": pa.array(actual, pa.float64(), from_pandas=True),
            }
        )
        self._cursor.register("b_late", table)
        self._cursor.execute(
            "UPDATE record_results SET actual = late.actual FROM b_late late"
            " WHERE record_results.timestamp = late.timestamp AND job_id = $job"
            " AND record_results.detector_index = late.detector_index"
            " AND record_results.function_description = late.function_description"
            " AND record_results.scope = late.scope AND NOT is_interim"
            " AND record_results.timestamp >= make_timestamp($low)",
            {"job": job_id, "low": int(keys.start_s.min()) * _SECOND_US},
        )
        self._cursor.unregister("b_late")

    def forget(self, job_id: str, from_s: int) -> int:
        """Delete a job's results from a time on; older scores are what they were before it.

        Returns
        -------
        int
            Buckets that were deleted.
        """
        self.flush()
        undo(self._cursor, job_id, from_s)
        told = {"job": job_id, "from": from_s * _SECOND_US}
        where = "WHERE job_id = $job AND timestamp >= make_timestamp($from)"
        buckets = number(self._cursor, f"SELECT count(*) FROM bucket_results {where}", told)
        for name in RESULT_TABLES:
            self._cursor.execute(f"DELETE FROM {name} {where}", told)
        self._interim = {key for key in self._interim if key[0] != job_id or key[1] < from_s}
        return buckets
