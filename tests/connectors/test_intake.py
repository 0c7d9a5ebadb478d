"""What is handed in: whole posts in blocks, receipts behind the commit, keys, limits.

The laws compare the receipts with a naive reading of each post by itself; the errors are what
somebody who hands in too much, or the wrong thing twice, must be told.
"""

import json
import threading

import duckdb
import pytest
from decoding import decoder
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.intake import Intake
from engine.errors import BusyError, ConflictError, EndingError, QueryError
from engine.receipts import Receipt, RejectedLine
from engine.rows import TABLES

GOOD = b'{"model_id": "m", "id": "1", "timestamp": 1700000000000, "prediction": "a"}'
BAD = b'{"model_id": "m", "timestamp": 1700000000000}'
BLANK = b"  \t"


def event(number):
    told = {"model_id": "m", "id": str(number), "timestamp": 1_700_000_000_000 + number}
    return json.dumps(told).encode() + b"\n"


class Run:
    """Polls, decodes and commits as a session does."""

    def __init__(self, **more):
        self.store = duckdb.connect()
        self.store.execute(f"CREATE TABLE posts_log ({TABLES['posts_log']})")
        self.intake = Intake(self.store, **more)
        self.decoder = decoder(max_future_us=None)

    def take(self, limit=16 << 20):
        block = self.intake.poll(0, limit)
        if block is not None:
            self.store.execute("BEGIN")
            self.intake.taken(self.store, self.decoder.decode(block))
        return block

    def commit(self):
        self.store.execute("COMMIT")
        self.intake.committed()

    def all(self, limit=16 << 20):
        while self.take(limit):
            self.commit()


def test_a_receipt_comes_with_the_commit_and_not_before():
    run = Run()
    future = run.intake.post(event(1) + BAD + b"\n" + event(2))
    run.take()
    assert not future.done()
    assert run.intake.waits
    run.commit()
    receipt = future.result(0)
    assert (receipt.lines, receipt.accepted, receipt.rejected_count) == (3, 2, 1)
    assert [(each.line, each.field) for each in receipt.rejected] == [(2, "id")]
    assert not run.intake.waits


LINES = st.lists(st.sampled_from([GOOD, BAD, BLANK, b"", b"nonsense", b"\xff\xfe"]), max_size=6)


@settings(max_examples=60)
@given(st.lists(LINES, min_size=1, max_size=6), st.integers(1, 400))
def test_law_receipts_are_those_of_each_post_alone(posts, limit):
    run = Run()
    futures = [run.intake.post(b"\n".join(lines)) for lines in posts]
    run.all(limit)
    for lines, future in zip(posts, futures, strict=True):
        body = b"\n".join(lines)
        written = body.split(b"\n")
        bad = [n for n, line in enumerate(written, 1) if line.strip(b" \t\r") not in {GOOD, b""}]
        receipt = future.result(0)
        assert receipt.lines == sum(bool(line.strip(b" \t\r")) for line in written)
        assert [each.line for each in receipt.rejected] == bad
        assert receipt.accepted == receipt.lines - len(bad)


def test_positions_go_on_from_the_committed_one():
    intake = Intake(duckdb.connect(), 1_000)
    intake.post(event(1))
    block = intake.poll(0)
    assert (block.start, block.end) == (1_000, 1_000 + len(event(1)))


def test_a_post_is_never_cut():
    run = Run()
    posts = [b"".join(event(n) for n in range(20)) for _ in range(3)]
    for post in posts:
        run.intake.post(post)
    blocks = []
    while block := run.take(limit=100):
        blocks.append(block.data)
        run.commit()
    assert blocks == posts


# ---- keys ------------------------------------------------------------------------------------


def test_the_same_key_and_lines_are_taken_once_also_by_a_later_run():
    run = Run()
    first = run.intake.post(event(1) + BAD, by="ana", idempotency_key="k")
    joined = run.intake.post(event(1) + BAD, by="ana", idempotency_key="k")
    run.all()
    position = run.intake.poll(0)
    later = Intake(run.store, 0).post(event(1) + BAD, by="ana", idempotency_key="k").result(0)
    assert position is None
    assert first.result(0).repeated is False
    for again in (joined.result(0), later):
        assert again.repeated
        assert again.rejected == first.result(0).rejected
        assert (again.lines, again.accepted) == (2, 1)


def test_a_key_is_one_of_its_user():
    run = Run()
    run.intake.post(event(1), by="ana", idempotency_key="k")
    other = run.intake.post(event(2), by="bob", idempotency_key="k")
    run.all()
    assert other.result(0) == Receipt(1)


@pytest.mark.parametrize("committed", [False, True])
def test_error_a_key_with_other_lines(committed):
    run = Run()
    run.intake.post(event(1), idempotency_key="k")
    if committed:
        run.all()
    with pytest.raises(ConflictError, match="same lines"):
        run.intake.post(event(2), idempotency_key="k")


def test_old_keys_are_forgotten():
    run = Run()
    run.intake.post(event(1), idempotency_key="k")
    run.all()
    run.intake.retain(run.store, 2 * 86_400 * 10**6)
    again = run.intake.post(event(1), idempotency_key="k")
    run.all()
    assert again.result(0).repeated is False


# ---- limits and ends -------------------------------------------------------------------------


def test_error_more_than_fits_is_turned_away_whole():
    run = Run(waiting_bytes=2 * len(event(1)))
    first, second = (run.intake.post(event(n)) for n in (1, 2))
    with pytest.raises(BusyError, match="nothing of this was"):
        run.intake.post(event(3))
    run.all()
    assert (first.result(0), second.result(0)) == (Receipt(1), Receipt(1))
    run.intake.post(event(3))
    with pytest.raises(QueryError, match="at most 16777216 bytes"):
        run.intake.post(b"x" * ((16 << 20) + 1))


def test_nothing_at_all_is_a_receipt_at_once():
    assert Run().intake.post(b"").result(0) == Receipt(0)


def test_error_who_waits_at_the_end_is_told():
    run = Run()
    futures = [run.intake.post(event(1))]
    run.take()
    futures.append(run.intake.post(event(2), idempotency_key="k"))
    run.intake.close()
    for future in futures:
        with pytest.raises(EndingError, match="stopped"):
            future.result(0)
    with pytest.raises(EndingError, match="stopping"):
        run.intake.post(event(3))


def test_who_no_longer_waits_disturbs_nobody():
    run = Run()
    gone = run.intake.post(event(1))
    stays = run.intake.post(event(2))
    assert gone.cancel()
    run.all()
    assert stays.result(0) == Receipt(1)


def test_many_threads_hand_in_at_once():
    run = Run()
    futures = []

    def post(start):
        futures.extend(run.intake.post(event(start + n)) for n in range(50))

    threads = [threading.Thread(target=post, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.all()
    assert [future.result(0) for future in futures] == [Receipt(1)] * 200


def test_receipts_are_read_back_as_written():
    receipt = Receipt(3, 2, (RejectedLine(1, "`x` must be y", None), RejectedLine(3, "é", "f")))
    assert Receipt.from_json(receipt.to_json()).rejected == receipt.rejected
