"""The background recompute: one at a time, joined, timed out, remembered, never twice the same.

What is of HTTP alone belongs to the REST face: AC-58's endpoints, the wording of ACi-21's answer.
"""

import threading
import time
from dataclasses import dataclass, replace

import duckdb
import pytest

from connectors.refresh import Refresher
from connectors.sqlquery import DATABASE_CONFIG
from engine.errors import NotFoundError, QueryError

SLOW = "SELECT count(*) FROM range(1000000000) a, range(1000000) b"


@dataclass(frozen=True)
class Metrics:
    model_id: str
    computed_us: int
    seen: int


class Bench:
    """A refresher over a database, whose computation waits at a gate and is counted."""

    def __init__(self, known=None):
        self.connection = duckdb.connect(config={**DATABASE_CONFIG, "threads": 1})
        self.connection.execute("CREATE TABLE clock AS SELECT 0 AS next_seq, 1 AS next_outcome")
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.computed, self.remembered, self.now_us = [], [], 1_000
        self.refresher = Refresher(
            self.connection,
            self.compute,
            lambda job_id, metrics: self.remembered.append((job_id, metrics)),
            lambda metrics, now_us: replace(metrics, computed_us=now_us),
            self.tick,
            known=known,
        )

    def tick(self):
        self.now_us += 1
        return self.now_us

    def compute(self, cursor, job_id, computed_us):
        self.computed.append(job_id)
        self.entered.set()
        assert self.gate.wait(20)
        if job_id == "nowhere":
            msg = "Job or model not found"
            raise NotFoundError(msg)
        if job_id == "broken":
            msg = "our mistake"
            raise KeyError(msg)
        if job_id == "slow":
            cursor.execute(SLOW).fetchall()
        seen = cursor.execute("SELECT next_seq FROM clock").fetchone()[0]
        return Metrics(f"model of {job_id}", computed_us, seen)

    def commit(self, column="next_seq"):
        self.connection.execute(f"UPDATE clock SET {column} = {column} + 1")

    def ask(self, job_id="job", timeout_s=10.0):
        return self.refresher.ask(job_id, timeout_s)


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.gate.set()
    bench.refresher.close()
    bench.connection.close()


def eventually(condition, within_s=5.0):
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.005)


def beside(count, act):
    """Run `act` in threads; give them, and what they gave or raised."""
    found = []

    def run():
        try:
            found.append(act())
        except (QueryError, RuntimeError) as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, found


# ---- what is answered ------------------------------------------------------------------------


def test_contract_AC_55_57_each_request_computes_what_is_committed_now(bench):
    assert bench.ask() == (Metrics("model of job", 1_002, 0), False)
    bench.commit()
    found, recomputing = bench.ask()
    assert (found.seen, recomputing) == (1, False)
    assert bench.computed == ["job", "job"]


def test_contract_AC_56_one_that_takes_longer_gives_the_last_known_and_goes_on(bench):
    first, _ = bench.ask()
    bench.commit()
    bench.gate.clear()
    started = time.monotonic()
    assert bench.ask(timeout_s=0.2) == (first, True)
    assert 0.2 <= time.monotonic() - started < 1
    assert bench.ask(timeout_s=0) == (first, True)
    bench.gate.set()
    found, recomputing = bench.ask()
    assert (found.seen, recomputing) == (1, False)
    assert bench.computed == ["job", "job"]


def test_contract_ACi_24_nothing_is_known_before_the_first_result(bench):
    bench.gate.clear()
    assert bench.ask(timeout_s=0.05) == (None, True)


def test_contract_ACi_25_callers_join_the_one_that_runs(bench):
    bench.gate.clear()
    threads, found = beside(6, bench.ask)
    assert bench.entered.wait(5)
    time.sleep(0.2)  # all of them wait by now
    bench.gate.set()
    for thread in threads:
        thread.join()
    assert found == [(Metrics("model of job", found[0][0].computed_us, 0), False)] * 6
    assert bench.computed == ["job"]


def test_one_who_is_gone_waits_no_longer(bench):
    bench.gate.clear()
    started = time.monotonic()
    assert bench.refresher.ask("job", 60, stopped=lambda: True) == (None, True)
    assert time.monotonic() - started < 1


# ---- what holds still ------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["next_seq", "next_outcome"])
def test_what_no_commit_has_changed_is_not_computed_again_and_told_to_hold_now(bench, column):
    first, _ = bench.ask()
    again, recomputing = bench.ask()
    assert again == replace(first, computed_us=again.computed_us)
    assert (again.computed_us > first.computed_us, recomputing) == (True, False)
    assert bench.refresher.status("job").status == "completed"
    assert bench.computed == ["job"]
    bench.commit(column)
    bench.ask()
    assert bench.computed == ["job"] * 2


def test_what_changed_without_a_mark_is_computed_again(bench):
    bench.ask()
    bench.refresher.forget_stamps()
    bench.ask()
    assert bench.computed == ["job"] * 2


def test_a_commit_while_it_computes_is_not_missed(bench):
    bench.gate.clear()
    threads, found = beside(1, bench.ask)
    assert bench.entered.wait(5)
    bench.commit()
    bench.gate.set()
    threads[0].join()
    assert found[0][0].seen == 0  # the commit that it began with
    assert bench.ask()[0].seen == 1


def test_results_are_handed_on_once_and_what_earlier_runs_left_is_known():
    left = Metrics("model of job", 5, 42)
    bench = Bench(known={"job": left})
    bench.gate.clear()
    assert bench.ask(timeout_s=0) == (left, True)
    bench.gate.set()
    found, _ = bench.ask()
    assert found.seen == 0  # it was computed, for nobody knows from which commits the other was
    bench.ask()
    assert bench.remembered == [("job", found)]
    bench.refresher.close()
    bench.connection.close()


# ---- what fails ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job_id", "kind", "text"),
    [
        ("nowhere", NotFoundError, "Job or model not found"),
        ("broken", RuntimeError, "the recompute failed: KeyError: 'our mistake'"),
    ],
)
def test_error_all_who_wait_are_told_and_the_next_one_begins_anew(bench, job_id, kind, text):
    bench.gate.clear()
    threads, found = beside(3, lambda: bench.ask(job_id))
    assert bench.entered.wait(5)
    time.sleep(0.2)
    bench.gate.set()
    for thread in threads:
        thread.join()
    assert [(type(error), str(error)) for error in found] == [(kind, text)] * 3
    assert len({id(error) for error in found}) == 3
    assert bench.computed == [job_id]
    with pytest.raises(kind):
        bench.ask(job_id)
    assert bench.computed == [job_id] * 2
    assert bench.remembered == []


def test_error_a_failure_leaves_other_jobs_and_the_last_known_alone(bench):
    first, _ = bench.ask()
    with pytest.raises(NotFoundError):
        bench.ask("nowhere")
    assert bench.ask()[0].seen == first.seen


def test_fault_closing_stops_what_runs_and_what_waits_within_a_second(bench):
    threads, found = beside(2, lambda: bench.ask("slow", 60))
    queued, told = beside(1, lambda: bench.ask("behind", 60))
    assert bench.entered.wait(5)
    eventually(lambda: bench.refresher.status("behind"))
    started = time.monotonic()
    bench.refresher.close()
    for thread in (*threads, *queued):
        thread.join()
    assert time.monotonic() - started < 1
    assert [type(error) for error in (*found, *told)] == [QueryError] * 3
    with pytest.raises(QueryError, match="the owner is stopping"):
        bench.ask()


# ---- requests --------------------------------------------------------------------------------


def test_contract_ACi_21_a_requested_recompute_goes_through_its_states(bench):
    assert bench.refresher.status("job") is None
    bench.gate.clear()
    first = bench.refresher.request("job")
    assert bench.entered.wait(5)
    second = bench.refresher.request("other")
    assert (second.job_id, second.status, second.model_id) == ("other", "queued", None)
    assert bench.refresher.status("job").status == "in_progress"
    assert bench.refresher.request("job").requested_us == first.requested_us  # joined
    bench.gate.set()
    eventually(lambda: bench.refresher.status("other").status == "completed")
    found = bench.refresher.status("job")
    assert (found.status, found.model_id, found.error) == ("completed", "model of job", None)
    assert bench.computed == ["job", "other"]


def test_contract_ACi_21_one_that_fails_says_why(bench):
    bench.refresher.request("nowhere")
    eventually(lambda: bench.refresher.status("nowhere").status == "failed")
    assert bench.refresher.status("nowhere").error == "Job or model not found"
