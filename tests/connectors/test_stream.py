"""The Bytewax source: every batch once, a clean stop, no spinning, also under Bytewax's runner."""

import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.testing import TestingSink, cluster_main, run_main

from connectors.stream import Stream


class Listed:
    """Gives the items of a list, None where nothing is ready."""

    def __init__(self, items: list[int | None], *, live: bool = False) -> None:
        self.items = items
        self.live = live
        self.asked = 0

    @property
    def finished(self) -> bool:
        return not self.items and not self.live

    def next(self, now_us: int) -> int | None:
        assert abs(now_us - time.time_ns() // 1000) < 60_000_000
        self.asked += 1
        item = self.items.pop(0) if self.items else None
        if item == 13:
            msg = "thirteen"
            raise ValueError(msg)
        return item


def flow_of(feed: Listed, stop: threading.Event, out: list[int]) -> Dataflow:
    flow = Dataflow("test")
    stream = op.input("input", flow, Stream(feed, stop))
    op.output("out", stream, TestingSink(out))
    return flow


def test_golden_every_batch_once_and_the_end() -> None:
    out: list[int] = []
    run_main(flow_of(Listed([1, None, 2, None, None, 3]), threading.Event(), out))
    assert out == [1, 2, 3]


def test_golden_two_workers_read_it_once() -> None:
    out: list[int] = []
    flow = flow_of(Listed([1, None, 2, 3]), threading.Event(), out)
    cluster_main(flow, [], 0, worker_count_per_proc=2)
    assert sorted(out) == [1, 2, 3]


def test_golden_stop_ends_an_idle_input_at_once_without_spinning() -> None:
    feed, stop = Listed([1], live=True), threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    out: list[int] = []
    start = time.monotonic()
    run_main(flow_of(feed, stop, out))
    assert 0.4 < time.monotonic() - start < 1.5
    assert out == [1]
    assert 10 < feed.asked <= 120


def test_golden_stop_leaves_the_rest() -> None:
    feed, stop = Listed([1, 2]), threading.Event()
    stop.set()
    out: list[int] = []
    run_main(flow_of(feed, stop, out))
    assert (out, feed.asked) == ([], 0)


def test_error_of_the_feed_reaches_the_caller_as_the_cause() -> None:
    with pytest.raises(BytewaxRuntimeError) as caught:
        run_main(flow_of(Listed([1, 13]), threading.Event(), []))
    assert isinstance(caught.value.__cause__, ValueError)


def test_contract_told_fault_ends_the_input_and_steps_see_the_end() -> None:
    out: list[int] = []
    told: list[Exception] = []
    flow = Dataflow("test")
    source = Stream(Listed([1, 2, 13, 4]), threading.Event(), told.append)
    stream = op.input("input", flow, source)
    # gives what it has gathered only at the end of the input
    gathered = op.collect("all", op.key_on("key", stream, lambda _: "0"), timedelta(hours=1), 99)
    op.output("out", gathered, TestingSink(out))
    run_main(flow)
    assert out == [("0", [1, 2])]
    assert [str(fault) for fault in told] == ["thirteen"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_contract_signals_stop_it_under_the_runner_of_bytewax(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "some_flow.py").write_text(
        "import os, signal, threading\n"
        "import bytewax.operators as op\n"
        "from bytewax.connectors.stdio import StdOutSink\n"
        "from bytewax.dataflow import Dataflow\n"
        "from connectors.memory import Memory\n"
        "from connectors.stream import Stream\n"
        "class Feed:\n"
        "    finished = False\n"
        "    source = Memory([b'one\\n'], bounded=False)\n"
        "    def next(self, now_us): return self.source.poll(now_us)\n"
        "def flow():\n"
        "    stop = threading.Event()\n"
        "    for number in (signal.SIGTERM, signal.SIGINT):\n"
        "        signal.signal(number, lambda *_: stop.set())\n"
        "    flow = Dataflow('test')\n"
        "    blocks = op.input('input', flow, Stream(Feed(), stop))\n"
        "    op.output('out', op.map('text', blocks, lambda b: b.data.decode()), StdOutSink())\n"
        "    return flow\n"
    )
    command = [sys.executable, "-m", "bytewax.run", "some_flow:flow()"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        start = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
        assert time.monotonic() - start < 1.0
