"""The Python call log: what it takes, what it writes, and that nothing is lost or torn on the way.

What is written is read back by the engine's own decoder; the rules for names and ids are tested
with the contract (`test_step_contract`).
"""

import io
import json
import math
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from decoding import decoder

from connectors.steplog import StepLog
from engine.batch import Block
from engine.errors import QueryError

RECEIVED_US = 1_900_000_000_000_000


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "steps.ndjson"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1, 1.0),
        (0.1, 0.1),
        (2**70, float(2**70)),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float64(-0.5), -0.5),
        (np.int64(7), 7.0),
        (np.array(2.5), 2.5),
        (Decimal("1.5"), 1.5),
        (Fraction(1, 4), 0.25),
        (5e-324, 5e-324),
        (-math.nan, "nan"),
        (np.float32("inf"), "inf"),
        (Decimal("-Infinity"), "-inf"),
        ("nan", "nan"),
        ("-inf", "-inf"),
    ],
    ids=repr,
)
def test_golden_values(path, value, written):
    with StepLog(path, 7) as log:
        log.log("loss", value)
    assert lines_of(path) == [
        {"type": "metric", "job_id": "7", "name": "loss", "value": written, "step": 0}
    ]


@pytest.mark.parametrize(
    "value",
    [
        True, np.bool_(1), None, "0.5", b"1", 1j, np.complex64(1), [1.0], np.array([1.0]),
        np.array(1, bool), np.array("1"), 10**400, Decimal("1e400"), object(),
    ],
)  # fmt: skip
def test_error_values(path, value):
    with StepLog(path, 7) as log, pytest.raises(QueryError, match="`value` must be a number"):
        log.log("loss", value)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (datetime(2023, 5, 1, 12, tzinfo=UTC), "2023-05-01T12:00:00Z"),
        (datetime(2023, 5, 1, 12, 0, 0, 5), "2023-05-01T12:00:00.000005Z"),  # noqa: DTZ001 - UTC
        (datetime(2023, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2023-05-01T10:00:00Z"),
        ("2023-05-01", "2023-05-01"),
        (1500, 1500),
        (np.int64(1500), 1500),
        (np.float64(1.5), 1.5),
    ],
)
def test_golden_timestamps(path, given, written):
    with StepLog(path, 7) as log:
        log.log("loss", 1, timestamp=given)
    assert lines_of(path)[0]["timestamp"] == written


@pytest.mark.parametrize(
    "given",
    ["yesterday", math.nan, math.inf, True, 1e30, b"2023", [1],
     datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))],
)  # fmt: skip
def test_error_timestamps(path, given):
    with StepLog(path, 7) as log, pytest.raises(QueryError, match="`timestamp` must be a datetime"):
        log.log("loss", 1, timestamp=given)


@pytest.mark.parametrize("step", [-1, 2**63, 1.0, "1", "AUTO", None, True, [0]])
def test_error_steps(path, step):
    with StepLog(path, 7) as log, pytest.raises(QueryError, match="`step` must be a whole number"):
        log.log("loss", 1, step=step)


def test_error_what_a_log_is_made_of(tmp_path):
    for job, experiment, told in (("", 1, "`job_id`"), (7, 1.5, "`experiment_id`")):
        with pytest.raises(QueryError, match=told):
            StepLog(tmp_path / "steps", job, experiment)
    with pytest.raises(QueryError, match="`flush_after_s` must be a number from 0, got -1"):
        StepLog(tmp_path / "steps", 7, flush_after_s=-1)
    with StepLog(tmp_path / "steps", 7) as log:
        for name in ("_", ["loss"], None):
            with pytest.raises(QueryError, match="`name` must be a letter"):
                log.log(name, 1)


def test_golden_auto_steps_go_on_behind_what_the_file_and_the_log_hold(path):
    before = [
        {"type": "metric", "job_id": 7, "name": "loss", "value": 1, "step": 4},
        {"type": "metric", "job_id": "7", "name": "loss", "value": 1},
        {"type": "metric", "job_id": "8", "name": "loss", "value": 1, "step": 99},
        {"type": "run", "id": "metric", "job_id": "7", "name": "loss", "step": 50},
        {"type": "metric", "job_id": "7", "name": "acc", "value": 1, "step": None},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in before) + '["metric"]\n{metric')
    with StepLog(path, 7) as log:
        steps = [log.log("loss", 1, step="auto")["step"] for _ in range(2)]
        log.log("loss", 1, step=np.int32(20))
        log.log("loss", 1, step=3)
        steps.append(log.log("loss", 1, step="auto")["step"])
        steps += [log.log(name, 1, step="auto")["step"] for name in ("acc", "new")]
    assert steps == [5, 6, 21, 1, 0]
    with StepLog(path, 7) as log:
        assert log.log("loss", 1, step="auto")["step"] == 22


def test_error_auto_behind_the_greatest_step(path):
    with StepLog(path, 7) as log:
        log.log("loss", 1, step=2**63 - 1)
        with pytest.raises(QueryError, match="`step` must be"):
            log.log("loss", 1, step="auto")


def test_golden_a_torn_line_is_closed_before_the_first_line(path):
    path.write_bytes(b'{"type":"metric","job_id":"7","na')
    with StepLog(path, 7):
        pass
    assert path.read_bytes().endswith(b'"na')
    with StepLog(path, 7) as log:
        log.log("loss", 1)
    batch = decoder().decode(Block("s", "p", 0, path.read_bytes(), RECEIVED_US))
    assert (len(batch.others), len(batch.rejects)) == (1, 1)


def test_law_every_line_is_one_that_the_decoder_takes(path):
    with StepLog(path, 'j\u00e9 "1"\n', 3) as log:
        events = [
            log.log("m_1", value, step, at)
            for value in (1, 1e300, math.nan, -math.inf)
            for step in (0, 2**63 - 1)
            for at in (None, 0, "1999-12-31T23:59:59.999999Z", datetime(2000, 1, 1, tzinfo=UTC))
        ]
    assert lines_of(path) == events
    batch = decoder().decode(Block("s", "p", 0, path.read_bytes(), RECEIVED_US))
    assert (len(batch.others), len(batch.rejects)) == (len(events), 0)
    assert set(batch.others["job_id"].to_pylist()) == {'j\u00e9 "1"\n'}


def test_law_threads_and_processes_share_a_file_without_a_torn_line(path):
    child = (
        "import sys; from connectors.steplog import StepLog\n"
        "with StepLog(sys.argv[1], 'child') as log:\n"
        "    for n in range(4000): log.log('loss', n, n)\n"
    )
    with StepLog(path, 7, flush_after_s=0.001) as log:
        process = subprocess.Popen([sys.executable, "-c", child, str(path)])

        def work(number):
            for step in range(2000):
                log.log(f"m{number}", step, step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert process.wait() == 0
    found = sorted((event["job_id"], event["name"], event["step"]) for event in lines_of(path))
    mine = [("7", f"m{number}", step) for number in range(3) for step in range(2000)]
    assert found == sorted(mine + [("child", "loss", step) for step in range(4000)])


def test_golden_auto_steps_of_many_threads_are_each_given_once(path):
    with StepLog(path, 7) as log:
        threads = [
            threading.Thread(target=lambda: [log.log("loss", 1, step="auto") for _ in range(500)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [event["step"] for event in lines_of(path)] == list(range(2000))


def test_golden_a_line_that_waits_is_written_after_its_time(path):
    with StepLog(path, 7, flush_after_s=0.02) as log:
        log.log("loss", 1)
        until = time.monotonic() + 10
        while not path.read_bytes() and time.monotonic() < until:
            time.sleep(0.005)
        assert len(lines_of(path)) == 1


def test_golden_flush_writes_at_once_and_zero_seconds_every_line(path):
    with StepLog(path, 7, flush_after_s=3600) as log:
        log.log("loss", 1)
        assert path.read_bytes() == b""
        log.flush()
        assert len(lines_of(path)) == 1
    with StepLog(path, 7, flush_after_s=0) as log:
        log.log("loss", 1)
        assert len(lines_of(path)) == 2


def test_fault_a_program_that_ends_without_closing_has_written_everything(path):
    program = (
        "import sys; from connectors.steplog import StepLog\n"
        "log = StepLog(sys.argv[1], 7, flush_after_s=3600)\n"
        "for n in range(100): log.log('loss', n, n)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert [event["step"] for event in lines_of(path)] == list(range(100))


def test_golden_a_binary_stream_takes_the_lines_and_stays_open():
    stream = io.BytesIO()
    with StepLog(stream, 7) as log:
        log.log("loss", 1, step="auto")
        log.log("loss", 1, step="auto")
    assert [json.loads(line)["step"] for line in stream.getvalue().splitlines()] == [0, 1]
    assert not stream.closed


def test_golden_a_named_pipe_takes_the_lines(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    with StepLog(pipe, 7) as log:
        log.log("loss", 1, step="auto")
    reader.join()
    assert json.loads(found[0])["step"] == 0


class Narrow(io.RawIOBase):
    """A stream that takes a few bytes at a time, and fails now and then."""

    def __init__(self, failing):
        super().__init__()
        self.data, self.failing, self.turn = b"", failing, 0

    def writable(self):
        return True

    def write(self, data):
        self.turn += 1
        if self.turn in self.failing:
            raise OSError(28, "No space left on device")
        self.data += bytes(data[:7])
        return len(data[:7])


def test_fault_a_write_that_fails_half_way_is_told_and_goes_on_where_it_stopped():
    stream = Narrow(failing={3})
    log = StepLog(stream, 7, flush_after_s=3600)
    log.log("loss", 1)
    with pytest.raises(OSError, match="No space left"):
        log.flush()
    log.log("loss", 2, step=1)
    log.close()
    assert [json.loads(line)["step"] for line in stream.data.splitlines()] == [0, 1]


def test_fault_a_write_that_failed_in_the_background_is_told_at_the_next_call():
    stream = Narrow(failing={1})
    log = StepLog(stream, 7, flush_after_s=0.001)
    log.log("loss", 1)
    until = time.monotonic() + 10
    while stream.turn == 0 and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.01)
    with pytest.raises(OSError, match="No space left"):
        log.log("loss", 2, step=1)
    log.close()
    assert [json.loads(line)["step"] for line in stream.data.splitlines()] == [0]


def test_error_a_closed_log_takes_nothing_and_closing_again_does_nothing(path):
    log = StepLog(path, 7)
    log.close()
    log.close()
    with pytest.raises(ValueError, match="the log is closed"):
        log.log("loss", 1)
