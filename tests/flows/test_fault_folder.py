"""A data folder that somebody else has, or that cannot be written: one message, and no harm done.

That a second `run` is refused, and that a lock left by a killed process is none, is in
`test_run_live` and `test_store`.
"""

import signal
import time

import pytest
from commands import bellwether, encoded, eventually, one, owned, prediction, running
from small_disk import small_disk


@pytest.fixture
def held(tmp_path):
    """A run that has the folder, and has taken a line."""
    data = tmp_path / "data"
    with running("run", "--data", data) as process:
        process.stdin.write(encoded([prediction(1)]))
        process.stdin.flush()
        eventually(lambda: owned(data), 30.0)
        yield process, data


def assert_refused(data, process, *words):
    began_s = time.monotonic()
    ended = bellwether(*words, "--data", data)
    assert ended.returncode == 1, ended.stderr
    told = ended.stderr.decode()
    assert told.startswith(f"bellwether: data folder {data} must be free, got locked by process")
    assert f"process {process.pid} on " in told
    assert told.count("\n") == 1
    assert time.monotonic() - began_s < 20


def test_fault_a_second_process_changes_nothing(held):
    process, data = held
    assert_refused(data, process, "serve", "--port", "0")
    process.send_signal(signal.SIGSTOP)  # one that is held still has it as much
    try:
        assert_refused(data, process, "run", "--source", __file__)
        ended = bellwether("sql", "select 1", "--data", data, "--limit-seconds", "1")
        assert ended.returncode in {1, 2}
        assert ended.stderr.count(b"\n") == 1
    finally:
        process.send_signal(signal.SIGCONT)
    process.stdin.write(encoded([prediction(2)]))
    process.stdin.flush()
    process.stdin.close()
    assert process.wait(30) == 0
    assert one(data, "select count(*) from events") == (2,)


def test_fault_a_file_system_that_became_read_only(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "a.ndjson").write_bytes(encoded([prediction(1)]))
    with small_disk(tmp_path / "disk", "50m") as disk:
        words = ("run", "--source", tmp_path / "a.ndjson", "--data", tmp_path / "disk" / "data")
        assert disk.run(*words).returncode == 0
        disk.remount("ro")
        ended = disk.run(*words)
        assert ended.returncode == 1
        assert "cannot be used: Read-only file system" in ended.stderr
        assert ended.stderr.count("\n") == 1
        disk.remount("rw")
        assert disk.run(*words).returncode == 0
