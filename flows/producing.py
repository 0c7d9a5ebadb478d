"""What a run does about topics that it writes to, on the thread that owns the store.

::

    alerts, records -> queue, same transaction -> committed -> producer -> broker
                         ^------ acknowledged, some later transaction ----+

A kill between any two of these loses nothing: what was not acknowledged is produced again under its
key. Nothing here waits for a broker but `drain`, at the end of a run, for a stated time.
"""

import logging
import time
from collections.abc import Callable, Sequence

import duckdb
import pyarrow as pa

from connectors.kafka.producer import Producers
from connectors.transactions import Transactions, transact
from engine import produce
from engine.kafka_settings import ProduceSettings
from engine.produce import Delivery, Produced

__all__ = ["IN_FLIGHT_MAX", "Producing", "declare_ways"]

IN_FLIGHT_MAX = 1_000
"""Messages that the producers hold at most; the others wait in the store."""

_LOOK_S = 0.1

_logger = logging.getLogger(__name__)


def declare_ways(cursor: duckdb.DuckDBPyConnection, ways: Sequence[ProduceSettings]) -> None:
    """Begin with entries that are new, before the first line; tells what is forgotten of others."""
    for name, count in produce.begin_ways(cursor, ways).items():
        text = "produce %s is declared no more: %d messages that wait for it are forgotten"
        _logger.warning(text, name, count)


class Producing:
    """The topics that one run writes to; does nothing where there are none.

    Parameters
    ----------
    ways : sequence of ProduceSettings

    Raises
    ------
    ConfigurationError
        See `connectors.kafka.producer.Producers`.
    """

    def __init__(self, ways: Sequence[ProduceSettings]) -> None:
        self._ways = ways
        self._producers = Producers(ways)
        self._outcomes: list[Delivery] = []  # not known to be committed
        self._noted = 0  # how many of them the last `tick` noted
        self._ready: list[Produced] = []  # to be submitted once this transaction is committed
        self.waiting = 0

    def note(self, cursor: duckdb.DuckDBPyConnection, alerts: pa.Table, now_us: int) -> None:
        """Queue alerts (column alert_id) and what anomaly jobs have found, in their transaction."""
        if self._ways:
            produce.enqueue_alerts(cursor, self._ways, alerts, now_us)
            produce.enqueue_records(cursor, self._ways, now_us)

    def tick(self, cursor: duckdb.DuckDBPyConnection, now_us: int) -> bool:
        """Note outcomes and look what is due, inside an open transaction; as `Notifier.tick`."""
        if not self._ways:
            return False
        self._outcomes += self._producers.outcomes()
        produce.settle(cursor, self._outcomes, now_us)
        self._noted = len(self._outcomes)
        self.waiting = produce.waiting(cursor)
        busy = self._producers.in_flight()
        room = IN_FLIGHT_MAX - len(busy)
        self._ready = []
        if self.waiting and room > 0:
            self._ready = produce.due(cursor, now_us, busy, room)
        return bool(self._ready or self._outcomes)

    def after_commit(self) -> None:
        """Hand over what is durable now."""
        del self._outcomes[: self._noted]
        self._noted = 0
        ready, self._ready = self._ready, []
        if ready:
            self._producers.submit(ready)

    def after_rollback(self) -> None:
        """Forget what `tick` prepared."""
        self._noted, self._ready = 0, []

    def drain(
        self,
        store: Transactions,
        now_us: Callable[[], int],
        wait_s: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Produce what is left, for up to `wait_s` seconds."""
        deadline_s = time.monotonic() + wait_s
        while self._ways:
            transact(store, self, now_us())
            if not self.waiting or stopped() or time.monotonic() >= deadline_s:
                return
            self._outcomes += self._producers.outcomes(_LOOK_S)
            if not self._producers.in_flight() and not self._outcomes:
                time.sleep(_LOOK_S)  # all of it waits for another attempt

    def close(self) -> None:
        """Begin nothing more; what is left is for the next run."""
        self._producers.close()
