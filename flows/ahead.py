"""Reads and decodes ahead of the dataflow, and hands the batches out in a stated order.

::

    bounded partitions ── reader thread ──┐
                                          ├── decoder threads ── next(): one batch
    live partitions ───── polled in next ─┘

Bounded partitions are merged: the next batch is that of the partition whose handed-out events reach
least far in time (those without any first), ties by (source, name). That and the cuts into blocks
are functions of the data alone. Live partitions are handed out as they come, in turn with the
bounded ones. After the last batch of a partition comes `Ended`; of a bounded one they come as one
`Last`, since what is committed between them would be resumed in another order. Memory: the blocks
under way are at most `depth` times 16 MiB, of a lone partition 32 MiB, and one more.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.partition import BLOCK_BYTES, Partition
from engine.batch import Batch, Block

__all__ = ["Ahead", "Ended", "Handed", "Last", "latest_event_us"]

Decode = Callable[[Block], Batch]
Discover = Callable[[int], Sequence[Partition]]

# A block costs some 20 ms of statements, whatever it holds: of one file they are larger. Three are
# under way there too, so that one may wait while the step commits (with two, 5 % slower).
_ALONE_BLOCK_BYTES = 2 * BLOCK_BYTES
# Its first blocks are smaller, for the step waits until one is decoded; so are the last ones, for
# the decoder has nothing to do while they are taken in.
_FIRST_BLOCK_BYTES = 4 << 20
_LAST_BLOCK_BYTES = 8 << 20
# Fine enough to interleave files, coarse enough for DuckDB (DESIGN §7).
_MERGED_BLOCK_BYTES = 1 << 20
# A smaller block of a live partition that has not been handed out yet shows that the step is busy:
# what comes meanwhile gathers into one block behind it, as each block costs some 20 ms.
_LARGE_BYTES = 4 << 20
# A commit waits for the block under way: live ones are as large as what is taken in so long, so
# that a second of input at most is computed again; but large in the sense above.
_LIVE_S = 0.25
_LEAST_LIVE_BYTES = 2 * _LARGE_BYTES
# How long `next` waits for a batch that is being made; signals and idle wake-ups wait with it.
_PATIENCE_S = 0.010


@dataclass(frozen=True, slots=True)
class Ended:
    """A partition gave its last batch before this."""

    source: str
    partition: str


@dataclass(frozen=True, slots=True, eq=False)
class Last:
    """The last batch of a partition and its end, to be taken in one transaction."""

    batch: Batch
    ended: Ended


Handed = Batch | Last | Ended


def latest_event_us(batch: Batch) -> int | None:
    """Greatest event time of a batch in microseconds; reference rows do not count."""
    others = batch.others.filter(pc.field("type") != "reference")
    columns = (batch.predictions["event_us"], batch.votes["vote_us"], others["event_us"])
    times = [latest for column in columns if (latest := _max(column)) is not None]
    return max(times, default=None)


def _max(column: "pa.ChunkedArray[Any]") -> int | None:
    latest: int | None = pc.max(column).as_py()
    return latest


@dataclass(slots=True)
class _Read:
    """What one poll of a bounded partition gave."""

    batch: Future[Batch] | None
    finished: bool


@dataclass(slots=True, eq=False)
class _Lane:
    """A bounded partition, and the reads under way, first one first."""

    partition: Partition
    watermark_us: int | None
    reads: deque[Future[_Read]] = field(default_factory=deque)

    @property
    def order(self) -> tuple[bool, int, str, str]:
        """The least is handed out next."""
        known = self.watermark_us is not None
        return known, self.watermark_us or 0, self.partition.source, self.partition.name

    def advance(self, batch: Batch) -> None:
        """Note how far the events handed out reach."""
        latest = latest_event_us(batch)
        if latest is not None and (self.watermark_us is None or latest > self.watermark_us):
            self.watermark_us = latest


@dataclass(frozen=True, slots=True, eq=False)
class _Arrived:
    """What a live partition gave: a block of so many bytes, or its end."""

    partition: Partition
    size: int
    item: "Future[Batch] | Ended"


class Ahead:
    """Batches of several partitions, decoded ahead by threads of its own.

    Parameters
    ----------
    partitions : sequence of Partition
        Known at the start.
    decoders : sequence of callables
        Block to Batch, one per thread; a decoder is only ever called by its own thread.
    fold : callable
        What is done with a batch behind that; left to whoever takes it in where that one waits.
    watermark : callable
        Gives the greatest event time committed of (source, partition), in microseconds, or None
        if there is none, or the partition had ended: if nothing is new there, it ends first again.
    depth : int
        Blocks of 16 MiB that may be under way; as many of 32 MiB where one partition is read.
    discover : callable or None
        Called with the wall clock at every `next`; gives live partitions that are new since.
    begun : callable
        Called once by each of the threads, at its beginning.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        decoders: Sequence[Decode],
        watermark: Callable[[str, str], int | None],
        depth: int = 3,
        *,
        fold: Callable[[Batch], Batch] = lambda batch: batch,
        discover: Discover | None = None,
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self._begun, self._fold = begun, fold
        self._waiting = False  # for a batch, whoever calls `next`
        self.partitions = list(partitions)
        self._lanes = [_Lane(p, watermark(p.source, p.name)) for p in partitions if p.bounded]
        self._live = [p for p in partitions if not p.bounded]
        self._discover = discover
        reading = sum(not lane.partition.finished for lane in self._lanes)
        self._limit_max = _ALONE_BLOCK_BYTES if reading <= 1 else _MERGED_BLOCK_BYTES
        self._limit = min(self._limit_max, _FIRST_BLOCK_BYTES)
        self._reads_max = max(depth, depth * BLOCK_BYTES // self._limit_max)
        self._depth = depth
        self._arrived: deque[_Arrived] = deque()  # of live partitions
        self._live_had_its_turn = False
        self._live_limit = _MERGED_BLOCK_BYTES  # the first one is small: the run goes on soon
        self._handed_s, self._handed_bytes = 0.0, 0
        self._reader = ThreadPoolExecutor(1, "read", begun)
        self._pool = ThreadPoolExecutor(len(decoders), "decode", self._take_decoder)
        self._spare: SimpleQueue[Decode] = SimpleQueue()
        for decode in decoders:
            self._spare.put(decode)
        self._own = threading.local()

    @property
    def finished(self) -> bool:
        """Everything was handed out and no more will come."""
        nothing_to_come = self._discover is None and not self._lanes and not self._live
        return nothing_to_come and not self._arrived

    def next(self, now_us: int) -> Handed | None:
        """Give the next batch; None when none is ready within 10 ms, or nothing is there.

        Raises
        ------
        SourceError
            From a partition, when its turn has come.
        Exception
            Whatever a decoder raised, when the turn of its block has come.
        """
        self._poll_live(now_us)
        item = self._hand_out(now_us)
        self._waiting = item is None
        return item

    def _hand_out(self, now_us: int) -> Handed | None:
        ready = bool(self._arrived) and _done(self._arrived[0].item, 0.0)
        if ready and not (self._live_had_its_turn and self._lanes):
            return self._hand_out_live()
        item = self._hand_out_bounded(now_us, 0.0 if ready else _PATIENCE_S)
        if item is not None:
            self._live_had_its_turn = False
            return item
        if self._arrived and (ready or _done(self._arrived[0].item, _PATIENCE_S)):
            return self._hand_out_live()
        return None

    def start(self, now_us: int) -> None:
        """Begin to read and decode, before the first batch is asked for."""
        if self._lanes:
            self._read_on(now_us)

    def stop(self) -> None:
        """Begin nothing more; `close` then has less to wait for."""
        for threads in (self._reader, self._pool):
            threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Stop the threads after what they are at, and close the partitions."""
        self._reader.shutdown(cancel_futures=True)
        self._pool.shutdown(cancel_futures=True)
        for partition in self.partitions:
            partition.close()

    # ---- live partitions ----------------------------------------------------------------------

    def _poll_live(self, now_us: int) -> None:
        """Take what waits, unless enough is under way: then it gathers into larger blocks."""
        if self._discover is not None:
            found = self._discover(now_us)
            self.partitions.extend(found)
            self._live.extend(found)
        under_way = sum(each.size for each in self._arrived)
        small = [each.partition for each in self._arrived if each.size < _LARGE_BYTES]
        for partition in list(self._live):
            if len(self._arrived) >= self._depth + len(self._live):
                break
            if under_way >= self._depth * BLOCK_BYTES:
                break
            if partition in small:
                continue
            block = partition.poll(now_us, self._live_limit)
            if block is not None:
                batch = self._pool.submit(self._decode, block)
                self._arrived.append(_Arrived(partition, len(block.data), batch))
                under_way += len(block.data)
            if partition.finished:
                self._live.remove(partition)
                ended = Ended(partition.source, partition.name)
                self._arrived.append(_Arrived(partition, 0, ended))

    def _hand_out_live(self) -> Batch | Ended:
        self._live_had_its_turn = True
        arrived = self._arrived.popleft()
        if isinstance(arrived.item, Ended):
            return arrived.item
        self._pace(arrived.size)
        return arrived.item.result()

    def _pace(self, size: int) -> None:
        now_s = time.monotonic()
        took_s = max(now_s - self._handed_s, 1e-3)
        wanted = int(_LIVE_S * self._handed_bytes / took_s)
        self._live_limit = min(max(wanted, _LEAST_LIVE_BYTES), BLOCK_BYTES)
        self._handed_s, self._handed_bytes = now_s, size

    # ---- bounded partitions -------------------------------------------------------------------

    def _hand_out_bounded(self, now_us: int, patience_s: float) -> Batch | Last | Ended | None:
        """Batch of the partition that is furthest behind, if it is ready in time."""
        while self._lanes:
            self._lanes.sort(key=lambda lane: lane.order)
            self._read_on(now_us)
            lane = self._lanes[0]
            if not _done(lane.reads[0], patience_s):
                return None
            read = lane.reads[0].result()
            batch = read.batch
            if batch is not None and not _done(batch, patience_s):
                return None
            lane.reads.popleft()
            if batch is not None:
                lane.advance(batch.result())
            if read.finished:
                self._lanes.remove(lane)
                ended = Ended(lane.partition.source, lane.partition.name)
                return ended if batch is None else Last(batch.result(), ended)
            if batch is not None:
                return batch.result()
        return None

    def _read_on(self, now_us: int) -> None:
        """Keep the reader busy, first for those whose turn comes first."""
        under_way = sum(len(lane.reads) for lane in self._lanes)
        share = max(2, self._reads_max // len(self._lanes))
        for lane in self._lanes:
            while len(lane.reads) < share and (
                under_way < self._reads_max or (lane is self._lanes[0] and not lane.reads)
            ):
                lane.reads.append(self._reader.submit(self._read, lane.partition, now_us))
                under_way += 1

    def _read(self, partition: Partition, now_us: int) -> _Read:
        """Read one block; runs in the one reader thread, so the blocks keep their order."""
        block = partition.poll(now_us, self._limit)
        if block is None:
            return _Read(None, partition.finished)
        self._limit = self._next_limit(partition, block)
        return _Read(self._pool.submit(self._decode, block), partition.finished)

    def _next_limit(self, partition: Partition, block: Block) -> int:
        limit = min(self._limit_max, 4 * self._limit)
        if partition.size is None or not partition.consumed:
            return limit
        # Of an archive the rest is as long, unpacked, as what was read of it so far lets expect.
        rest = (partition.size - partition.consumed) * block.end // partition.consumed
        return min(limit, max(rest // 2, _LAST_BLOCK_BYTES))

    # ---- decoder threads ----------------------------------------------------------------------

    def _take_decoder(self) -> None:
        self._begun()
        self._own.decode = self._spare.get_nowait()

    def _decode(self, block: Block) -> Batch:
        batch: Batch = self._own.decode(block)
        # Both threads are about equally busy: the one that waits takes some work of the other.
        return batch if self._waiting else self._fold(batch)


def _done(item: Future[Any] | Ended, patience_s: float) -> bool:
    if isinstance(item, Ended) or item.done():
        return True
    return patience_s > 0 and bool(wait([item], patience_s).done)
