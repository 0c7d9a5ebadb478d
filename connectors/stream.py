"""The input of a dataflow: whatever gives batches, as a Bytewax source with one constant partition.

Delivery: each batch once. Nothing is resumed here: the store, not Bytewax's recovery folder, says
where to go on, so the snapshot is None. Bytewax 0.21.1 calls `next_batch` on the thread that runs
the dataflow, so that Python's signal handlers run between two calls, and with a single worker only
after the batch before has gone through all steps. StopIteration is the only clean stop, and looks
like the end of input; any other exception reaches the caller as the cause of a
BytewaxRuntimeError.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

__all__ = ["Feed", "Stream"]

Item_co = TypeVar("Item_co", covariant=True)
Out = TypeVar("Out")

OnFault = Callable[[Exception], None]

_IDLE_S = 0.005
# Bytewax waits by the wall clock: were that set back by an hour, a time ahead would be an hour off.
_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)


class Feed(Protocol[Item_co]):
    """Gives the next batch, if there is one."""

    @property
    def finished(self) -> bool:
        """No more will ever come."""
        ...

    def next(self, now_us: int) -> Item_co | None:
        """Give the next batch; waits for some ms at most. `now_us` is the wall clock."""
        ...


class _Input(StatefulSourcePartition[Out, None], Generic[Out]):
    """The one partition."""

    def __init__(self, feed: Feed[Out], stop: threading.Event, on_fault: OnFault | None) -> None:
        self._feed = feed
        self._stop = stop
        self._on_fault = on_fault

    def next_batch(self) -> list[Out]:
        """Give one batch or none."""
        if self._stop.is_set():
            raise StopIteration
        asked = time.monotonic()
        try:
            batch = self._feed.next(time.time_ns() // 1_000)
        except Exception as fault:
            if self._on_fault is None:
                raise
            self._on_fault(fault)
            raise StopIteration from fault
        if batch is None and self._feed.finished:
            raise StopIteration
        if batch is None and time.monotonic() - asked < _IDLE_S:
            time.sleep(_IDLE_S)  # a feed that has waited by itself has something under way
        return [] if batch is None else [batch]

    def next_awake(self) -> datetime:
        """Ask again at once: `next_batch` has waited where that was of use."""
        return _AT_ONCE

    def snapshot(self) -> None:
        """Nothing: the store knows the position."""


class Stream(FixedPartitionedSource[Out, None], Generic[Out]):
    """A source whose one partition is `feed`, read by one worker.

    Parameters
    ----------
    feed : Feed
        Gives the batches; used by one dataflow, once.
    stop : threading.Event
        Set by a signal handler, say: the input then ends before its next batch.
    on_fault : callable or None
        Told what the feed raised; the input then ends, and the steps can commit what came before.
        Without it the exception ends the dataflow, with no `on_eof` and a Rust backtrace.
    """

    def __init__(
        self, feed: Feed[Out], stop: threading.Event, on_fault: OnFault | None = None
    ) -> None:
        self._feed = feed
        self._stop = stop
        self._on_fault = on_fault

    def list_parts(self) -> list[str]:
        """Name the partition, the same for ever."""
        return ["input"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Input[Out]:
        """Start reading; there is no state to resume from."""
        del step_id, for_part, resume_state
        return _Input(self._feed, self._stop, self._on_fault)
