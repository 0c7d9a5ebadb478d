"""The dataflow of the main job.

::

    input       blocks of whole lines, decoded ahead    (connectors.stream over flows.ahead)
      |
    shard       every batch to the one shard of this data folder
      |
    monitor     pair -> reduce -> watch -> write, committed with the position
      |
    committed   what was taken, for further sinks

Alerts are in the outbox with what gave them; the step lets the mailer have them once committed.

A plain Bytewax flow: ``python -m bytewax.run "flows.monitor:flow('config.yaml')"`` runs it too.
"""

import atexit
import signal
from contextlib import suppress

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from connectors.stream import Stream
from engine.counts import Counts
from flows.session import Session
from flows.settings import load
from flows.steps import Announced, Item, MonitorStep

__all__ = ["SHARD", "flow", "flow_of"]

SHARD = "0"
"""The one shard of a data folder on one machine (DESIGN §8)."""


def flow(config: str | None = None) -> Dataflow:
    """Build the dataflow of a configuration file, for ``python -m bytewax.run``.

    Raises
    ------
    BellwetherError
        The configuration is off, or the folder or an input cannot be used.
    """
    session = Session(load(config)).open()
    atexit.register(session.close)
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):  # not in the main thread: whoever is there decides
            signal.signal(number, lambda *_: session.stop.set())
    return flow_of(session, raising=True)


def flow_of(session: Session, *, raising: bool = False) -> Dataflow:
    """Build the dataflow over an open session; `raising`: faults leave the flow as exceptions."""
    dataflow = Dataflow("bellwether")
    source: FixedPartitionedSource[Item, None] = Stream(
        Announced(session.ahead, session.wanted), session.stop, session.fail_input
    )
    batches = op.input("input", dataflow, source)
    sharded = op.key_on("shard", batches, lambda _: SHARD)
    taken = op.stateful_batch("monitor", sharded, lambda _: MonitorStep(session, raising=raising))
    op.output("committed", op.key_rm("counts", taken), _Nowhere())
    return dataflow


class _NowhereNow(StatelessSinkPartition[Counts]):
    def write_batch(self, items: list[Counts]) -> None:
        """Let the counts go: no further sink is declared."""


class _Nowhere(DynamicSink[Counts]):
    """Every dataflow needs an output; alerts leave through the outbox of the store."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _NowhereNow:  # noqa: ARG002
        return _NowhereNow()
