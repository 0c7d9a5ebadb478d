"""Standard input, output and error that are closed, full, or whose other end has gone.

A message that nobody can read must not end a run, and a closed number must not become the store's:
then a message would be written into it, or it would be read as events.
"""

import fcntl
import os
import pty
import signal
import subprocess
import termios
import time

import pytest
from commands import COMMAND, encoded, eventually, one, owned, prediction

LINES = encoded(prediction(n) for n in range(50))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_bytes(LINES)
    return path


def shell(line, *words, **more):
    """Run our command with what the shell makes of its streams."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND, *map(str, words)],
        capture_output=True,
        check=False,
        timeout=60,
        **more,
    )


@pytest.mark.parametrize(
    "streams",
    ["<&- >&- 2>&-", ">/dev/full 2>/dev/full", "2> >(exec head -c 0)"],
    ids=["closed", "full", "reader gone"],
)
def test_fault_a_run_goes_on_whatever_becomes_of_its_messages(tmp_path, source, streams):
    ended = shell(f'"$@" {streams}', "run", "--source", source, "--data", tmp_path / "data")
    assert ended.returncode == 0, ended.stderr
    assert one(tmp_path / "data", "select count(*) from events") == (50,)
    assert one(tmp_path / "data", "select count(*) from rejects") == (0,)


def test_error_a_closed_standard_input_is_told_and_nothing_else_is_read(tmp_path):
    ended = shell('"$@" <&-', "run", "--data", tmp_path / "data")
    assert ended.returncode == 2
    assert ended.stderr == (
        b"bellwether: `stdin` must be open for reading, got Bad file descriptor\n"
    )
    assert one(tmp_path / "data", "select count(*) from rejects") == (0,)


@pytest.mark.parametrize(
    ("streams", "code", "told"),
    [
        (">/dev/full", 1, b"bellwether: standard output could not be written: No space left on"),
        (">&-", 1, b"bellwether: standard output could not be written: Bad file descriptor\n"),
        ("| head -c 5", 0, b""),
    ],
    ids=["full", "closed", "pipe"],
)
def test_fault_an_answer_that_nobody_takes(source, streams, code, told):
    (source.parent / "c.yaml").write_text("limits: {models: 5}\n")
    line = f'set -o pipefail; "$@" {streams}'
    ended = shell(line, "check", source.parent / "c.yaml")
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.startswith(told)
    assert ended.stderr.count(b"\n") == bool(told)


def _own_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may be behind nohup


def test_fault_a_terminal_that_goes_away_ends_the_run_in_good_order(tmp_path, source):
    ours, theirs = pty.openpty()
    words = [*COMMAND, "run", "--source", str(source), "--follow", "--data", str(tmp_path / "data")]
    process = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_own_terminal,  # noqa: PLW1509 - no threads here
    )
    os.close(theirs)
    try:
        eventually(lambda: owned(tmp_path / "data"))
        time.sleep(0.3)
        os.close(ours)  # the kernel sends SIGHUP, and messages meet EIO from now on
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert one(tmp_path / "data", "select count(*) from events") == (50,)


def test_fault_a_run_behind_nohup_outlives_its_terminal(tmp_path, source):
    words = ["run", "--source", source, "--follow", "--data", tmp_path / "data"]
    with subprocess.Popen(
        ["nohup", *COMMAND, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        eventually(lambda: owned(tmp_path / "data"))
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
