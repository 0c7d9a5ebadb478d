"""Slow recomputes: who waits gets what was last known in time, shares one recompute, blocks none.

The server's recomputes are real but for a gate that holds each of them.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
from arcanna_serving import BOTH, JOB, MODEL, RECOMPUTE, SCOPES, arcanna
from second_server import second_server
from serving import KEYS

from connectors.refresh import Refresher
from engine.jobs.job_rules import JobRules
from engine.jobs.model_metrics import model_metrics

CLIENTS = 50


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with arcanna(tmp_path_factory.mktemp("arcanna")) as found:
        yield found


@pytest.fixture
def held(served):
    """Another server over the same session; `gate` lets its recomputes go on."""
    gate, computed = threading.Event(), []

    def compute(cursor, job_id, now_us):
        computed.append(job_id)
        assert gate.wait(30)
        if job_id == "broken":
            msg = "no such luck"
            raise ValueError(msg)
        return model_metrics(cursor, job_id, JobRules(), now_us)

    session = served.session
    refresher = Refresher(
        session.readers(),
        compute,
        lambda *_: None,
        lambda known, now_us: replace(known, computed_us=now_us),
        lambda: time.time_ns() // 1000,
    )
    try:
        with second_server(served, recomputes=refresher) as url:
            yield SimpleNamespace(url=url, gate=gate, computed=computed)
            gate.set()
    finally:
        gate.set()
        refresher.close()


def ask(held, path=BOTH, method="POST", **query):
    headers = {"X-Arcanna-Api-Key": KEYS["editor"]}
    url = held.url + path
    return httpx.request(method, url, params=query, headers=headers, timeout=30)


def test_contract_ACi_24_what_was_never_computed_is_null(held):
    found = ask(held, job_id="soc", timeout_s=0).json()
    assert (found["model_metrics"], found["active_model_metrics"]) == (None, None)
    assert found["is_recomputing_metrics"]
    assert (found["model_id"], found["total_events"]) == ("small", 10)
    alone = ask(held, MODEL, "GET", job_id="soc", timeout_s=0).json()
    assert (alone["model_id"], alone["is_recomputing_metrics"]) == ("small", True)
    assert alone["confusion_matrix"] is None
    job = ask(held, JOB, job_id="soc", timeout_s=0).json()
    assert (job["total_events"], job["total_events_in_knowledge_base"]) == (10, None)


def test_contract_AC_56_a_slow_refresh_leaves_the_last_known_metrics(served, held):
    held.gate.set()
    before = ask(held, job_id=1234).json()["model_metrics"]
    held.gate.clear()
    fresh = {"model_id": before["model_id"], "id": "one", "timestamp": "2025-01-03"}
    served.post_events([{**fresh, "job_id": 1234, "prediction": "Drop"}])
    began = time.monotonic()
    found = ask(held, job_id=1234, timeout_s=1).json()
    assert 1.0 <= time.monotonic() - began < 5.0
    assert found["is_recomputing_metrics"]
    assert found["model_metrics"] == {**before, "is_recomputing_metrics": True}
    assert found["job_metrics"]["total_events"] == 5277
    held.gate.set()
    after = ask(held, job_id=1234).json()["model_metrics"]
    assert (after["total_events"], after["is_recomputing_metrics"]) == (5277, False)


def test_contract_ACi_25_all_who_wait_share_one_recompute_and_nobody_starves(held):
    with ThreadPoolExecutor(CLIENTS) as pool:
        waiting = [pool.submit(ask, held, job_id="soc", timeout_s=25) for _ in range(CLIENTS)]
        deadline = time.monotonic() + 10
        while not held.computed and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.5)
        assert held.computed == ["soc"]
        assert not any(each.done() for each in waiting)
        began = time.monotonic()
        assert ask(held, SCOPES, "GET").status_code == 200
        query = {"q": "SELECT 1"}
        assert ask(held, "/sql", "GET", **query).json()["rows"] == [[1]]
        assert ask(held, JOB, job_id="soc", timeout_s=0).json()["total_events"] == 10
        told = ask(held, RECOMPUTE, job_id="soc", model_id="small").json()
        assert told["status"] == "in_progress"
        assert time.monotonic() - began < 5
        held.gate.set()
        answers = [each.result().json() for each in waiting]
    assert {answer["is_recomputing_metrics"] for answer in answers} == {False}
    assert len({answer["model_metrics"]["last_recomputed_timestamp"] for answer in answers}) == 1
    assert held.computed == ["soc"]


def test_error_a_recompute_that_fails_is_our_fault_and_is_told(served, held, caplog):
    event = {"model_id": "b", "job_id": "broken", "id": 1, "timestamp": "2025-01-01"}
    served.post_events([{**event, "prediction": "x"}])
    held.gate.set()
    answer = ask(held, job_id="broken")
    assert answer.status_code == 500
    assert answer.json() == {"error": "a fault of the server; its log says more"}
    assert "no such luck" in caplog.text
    told = ask(held, RECOMPUTE, "GET", job_id="broken", model_id="b").json()
    assert told["status"] == "failed"
    assert told["error"] == "no such luck"
