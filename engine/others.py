"""Events that are neither predictions nor labels: stored, and taken in by the rooms of their types.

All of them stay in `other_events`. Metrics of steps, runs, ingests and deployments are also read
into tables of their own, and rules over steps are evaluated, in the transaction of the lines.
"""

from collections.abc import Callable

import duckdb
import pyarrow as pa

from engine.batch import Batch
from engine.config import Settings
from engine.jobs.deployments import Deployments
from engine.processing.processing import Processing
from engine.seen import Seen
from engine.steps.step_rules import StepRules
from engine.steps.steps import Steps

__all__ = ["Others"]


class Others:
    """Takes the other events of block after block, on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, inside a transaction whenever a method is called.
    settings : Settings
    canonical : callable
        Canonical JSON of a raw event.
    seen : Seen
        The filter over all stored keys, which the keys of runs and ingests join.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        settings: Settings,
        canonical: Callable[[str], str],
        seen: Seen,
    ) -> None:
        self._cursor = cursor
        self._deployments = Deployments(cursor)
        self._steps = Steps(cursor)
        self._rules = StepRules(cursor, settings)
        self._processing = Processing(cursor, canonical, seen)
        self._given: list[pa.Table] = []

    def load(self) -> None:
        """Read what the tables hold; at the start."""
        self._steps.load()
        self._processing.load()

    def declare(self, watermark_us: int | None) -> None:
        """Write which rules over steps are in force; behind every opening of the other rules."""
        self._rules.declare(watermark_us)

    def take(self, batch: Batch, partition_id: int, block_seq: int) -> int:
        """Take in the other events of a block.

        Parameters
        ----------
        batch : Batch
        partition_id : int
        block_seq : int
            The number of the block's first line.

        Returns
        -------
        int
            Alerts that rules over steps gave.
        """
        if not len(batch.others):
            return 0
        self._cursor.register("b_others", batch.others)
        self._cursor.execute(
            f"INSERT INTO other_events SELECT {block_seq} + ordinal, type, model_id, job_id,"
            " event_id, make_timestamp(event_us), make_timestamp($received), $number,"
            " position, raw FROM b_others",
            {"received": batch.block.received_us, "number": partition_id},
        )
        self._deployments.take(block_seq)
        self._processing.take(block_seq)
        alerts = 0
        if self._steps.take(block_seq):
            self._given.append(self._rules.take(block_seq))
            alerts = len(self._given[-1])
        self._cursor.unregister("b_others")
        return alerts

    def take_alerts(self) -> list[pa.Table]:
        """Give id and model of the alerts since the last call: `alert_id`, `model_id`."""
        given, self._given = self._given, []
        return given
