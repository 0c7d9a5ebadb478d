"""Lines that are handed in while a run goes on, as a live partition, and their receipts.

::

    post() ──queue── poll(): blocks of whole posts ── the dataflow ── taken(): in the transaction
      future ◄──────────────── committed(): once they are durable ◄──────────┘

Delivery: a future is done when the post is committed, whole, in one transaction; one that never is
done may or may not have been taken, and handing it in again does no harm: repeats of events replace
themselves, and under an idempotency key even the receipt is the same, for `KEPT_S`. Positions go on
from the committed one. Limits: `POST_BYTES_MAX` a post; `WAITING_BYTES_MAX` and `WAITING_MAX` of
what is not yet committed, then whoever comes is turned away and nothing of it is taken.
"""

import hashlib
import re
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import duckdb

from connectors.partition import BLOCK_BYTES
from connectors.sqlquery import Cursors
from engine.batch import Batch, Block
from engine.errors import BusyError, ConflictError, EndingError, QueryError
from engine.receipts import LISTED_MAX, Receipt, RejectedLine

__all__ = ["KEPT_S", "POST_BYTES_MAX", "WAITING_BYTES_MAX", "WAITING_MAX", "Intake"]

POST_BYTES_MAX = BLOCK_BYTES
WAITING_BYTES_MAX = 4 * BLOCK_BYTES
WAITING_MAX = 20_000
KEPT_S = 86_400

_WHITE = (b"\n", b"\r", b" ", b"\t")
_BLANK = re.compile(rb"^[ \t\r]*\n", re.MULTILINE)
_KNOWN = "SELECT body_hash, answer FROM posts_log WHERE key = ?"
_REMEMBER = "INSERT OR REPLACE INTO posts_log VALUES (?, ?, make_timestamp(?), ?)"
_FORGET = "DELETE FROM posts_log WHERE received_time < make_timestamp(?)"


@dataclass(slots=True, eq=False)
class _Post:
    """One post; `start` is its position once it is in a block."""

    data: bytes
    key: str | None
    body_hash: str | None
    futures: list["Future[Receipt]"] = field(default_factory=list)
    start: int = 0
    receipt: Receipt | None = None


class Intake:
    """The live partition of what is handed in.

    Parameters
    ----------
    cursors : Cursors
        On the store, to look up idempotency keys.
    start : int
        The committed position.
    waiting_bytes : int
        Bytes that may be handed in and not yet committed.
    """

    source = "rest"
    name = "http"
    bounded = False
    size: int | None = None
    state: str | None = None

    def __init__(
        self, cursors: Cursors, start: int = 0, waiting_bytes: int = WAITING_BYTES_MAX
    ) -> None:
        self.consumed = 0
        self._cursors = cursors
        self._position = start
        self._waiting_bytes = waiting_bytes
        self._queue: deque[_Post] = deque()
        self._blocks: deque[tuple[int, list[_Post]]] = deque()  # polled, not yet taken
        self._taken: list[_Post] = []  # in the open transaction
        self._by_key: dict[str, _Post] = {}
        self._bytes = self._posts = 0
        self._closed: Exception | None = None
        self._lock = threading.Lock()

    # ---- who hands in -----------------------------------------------------------------------

    def post(
        self, data: bytes, *, by: str = "", idempotency_key: str | None = None
    ) -> "Future[Receipt]":
        """See `connectors.rest.services.Intake.post`."""
        if len(data) > POST_BYTES_MAX:
            msg = f"a post must be at most {POST_BYTES_MAX} bytes, got {len(data)}"
            raise QueryError(msg)
        if data and not data.endswith(b"\n"):
            data += b"\n"
        future: Future[Receipt] = Future()
        key = body_hash = None
        if idempotency_key is not None:
            key = hashlib.sha256(f"{by}\0{idempotency_key}".encode()).hexdigest()
            body_hash = hashlib.sha256(data).hexdigest()
        post = _Post(data, key, body_hash, [future])
        if key is not None and not self._is_first(post, future):
            return future
        try:
            known = None if key is None else self._known(post)
            if known is None and data:
                self._enqueue(post)
            else:
                self._let_go(post)
                _settle(post, known or Receipt(0))
        except BaseException:
            self._let_go(post)
            raise
        return future

    def _is_first(self, post: _Post, future: "Future[Receipt]") -> bool:
        """Tell whether nobody waits under the same key; else wait along."""
        with self._lock:
            other = self._by_key.setdefault(str(post.key), post)
            if other is post:
                return True
            if other.body_hash != post.body_hash:
                raise _other_lines()
            other.futures.append(future)
            return False

    def _known(self, post: _Post) -> Receipt | None:
        cursor = self._cursors.cursor()
        try:
            rows = cursor.execute(_KNOWN, [post.key]).fetchall()
        finally:
            cursor.close()
        if not rows:
            return None
        if rows[0][0] != post.body_hash:
            raise _other_lines()
        return Receipt.from_json(rows[0][1])

    def _enqueue(self, post: _Post) -> None:
        with self._lock:
            if self._closed is not None:
                msg = "the run is stopping"
                raise EndingError(msg)
            full = self._bytes + len(post.data) > self._waiting_bytes
            if full or self._posts >= WAITING_MAX:
                msg = "too many lines wait to be taken: nothing of this was"
                raise BusyError(msg)
            self._bytes += len(post.data)
            self._posts += 1
            self._queue.append(post)

    def _let_go(self, post: _Post) -> None:
        with self._lock:
            if post.key is not None and self._by_key.get(post.key) is post:
                del self._by_key[post.key]

    # ---- the partition ----------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Never: somebody may always come."""
        return False

    @property
    def waits(self) -> bool:
        """Whether something is in the open transaction that somebody waits for."""
        return bool(self._taken)

    @property
    def queued(self) -> bool:
        """Whether more of it is on its way there."""
        return bool(self._queue or self._blocks)

    def poll(self, now_us: int, limit: int = BLOCK_BYTES) -> Block | None:
        """All whole posts that wait, up to `limit`, but one at least."""
        posts: list[_Post] = []
        with self._lock:
            size = 0
            while self._queue and (not posts or size + len(self._queue[0].data) <= limit):
                post = self._queue.popleft()
                post.start = self._position + size
                size += len(post.data)
                posts.append(post)
            if not posts:
                return None
            self._blocks.append((self._position, posts))
        data = posts[0].data if len(posts) == 1 else b"".join(post.data for post in posts)
        block = Block(self.source, self.name, self._position, data, now_us)
        self._position += len(data)
        self.consumed += len(data)
        return block

    def close(self) -> None:
        """Take no more; who still waits is told that it may come again."""
        self.failed(EndingError("the run has stopped before this was taken"))

    # ---- the transaction --------------------------------------------------------------------

    def taken(self, cursor: duckdb.DuckDBPyConnection, batch: Batch) -> None:
        """Note what became of the posts in a batch, inside its transaction.

        Parameters
        ----------
        cursor : duckdb.DuckDBPyConnection
            The writer's.
        batch : Batch
            Of the next block that `poll` has given.
        """
        with self._lock:
            start, posts = self._blocks.popleft()
        if start != batch.block.start:
            msg = f"batches must be taken in the order of their blocks, got {batch.block.start}"
            raise RuntimeError(msg)
        rejects = _rejects(batch)
        for post in posts:
            post.receipt = _receipt(post, rejects)
            if post.key is not None:
                answer = post.receipt.to_json()
                told = [post.key, post.body_hash, batch.block.received_us, answer]
                cursor.execute(_REMEMBER, told)
        self._taken.extend(posts)

    def committed(self) -> None:
        """Tell everybody whose lines are durable now."""
        taken, self._taken = self._taken, []
        with self._lock:
            self._bytes -= sum(len(post.data) for post in taken)
            self._posts -= len(taken)
        for post in taken:
            self._let_go(post)
            _settle(post, post.receipt or Receipt(0))

    def failed(self, error: Exception) -> None:
        """Tell everybody who waits that nothing more will be taken."""
        with self._lock:
            self._closed = error
            waiting = [*self._taken, *(post for _, posts in self._blocks for post in posts)]
            waiting += self._queue
            self._queue.clear()
            self._blocks.clear()
            self._taken = []
            self._by_key.clear()
        for post in waiting:
            for future in post.futures:
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)

    def retain(self, cursor: duckdb.DuckDBPyConnection, now_us: int) -> None:
        """Forget keys that are older than `KEPT_S`."""
        cursor.execute(_FORGET, [now_us - KEPT_S * 10**6])


def _settle(post: _Post, receipt: Receipt) -> None:
    """Tell all who wait; those who joined later are told the same as a repeat."""
    for place, future in enumerate(post.futures):
        if future.set_running_or_notify_cancel():
            again = place > 0 and not receipt.repeated
            future.set_result(Receipt.from_json(receipt.to_json()) if again else receipt)


def _other_lines() -> ConflictError:
    msg = "an idempotency key must go with the same lines every time, got other ones"
    return ConflictError(msg)


def _rejects(batch: Batch) -> list[tuple[int, str, str | None]]:
    if not len(batch.rejects):
        return []
    columns = (batch.rejects[name].to_pylist() for name in ("position", "reason", "field"))
    return list(zip(*columns, strict=True))


def _receipt(post: _Post, rejects: list[tuple[int, str, str | None]]) -> Receipt:
    lines = post.data.count(b"\n")
    if post.data[:1] in _WHITE or any(b"\n" + each in post.data for each in _WHITE):
        lines -= len(_BLANK.findall(post.data))
    end = post.start + len(post.data)
    mine = [each for each in rejects if post.start <= each[0] < end]
    found, line, at = [], 1, 0
    for position, reason, name in mine[:LISTED_MAX]:
        line += post.data.count(b"\n", at, position - post.start)
        at = position - post.start
        found.append(RejectedLine(line, reason, name))
    return Receipt(lines, len(mine), tuple(found))
