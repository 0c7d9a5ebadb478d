"""Standard input gives every whole line that waits, whatever it is and however it comes."""

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.stdin import Stdin
from engine.batch import Block
from engine.errors import SourceError


def read(stdin: Stdin, limit: int = 16 << 20, timeout_s: float = 20.0) -> list[Block]:
    blocks, until = [], time.monotonic() + timeout_s
    while not stdin.finished:
        assert time.monotonic() < until
        block = stdin.poll(5, limit)
        if block is None:
            time.sleep(0.001)
        else:
            blocks.append(block)
    return blocks


def wait_for(stdin: Stdin, timeout_s: float = 5.0) -> tuple[Block, float]:
    start = time.monotonic()
    while time.monotonic() < start + timeout_s:
        block = stdin.poll(0)
        if block is not None:
            return block, time.monotonic() - start
        time.sleep(0.0005)
    pytest.fail("nothing came")


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def write_all(descriptor: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(descriptor, view) :]
    os.close(descriptor)


def test_oracle_pipe_gives_all_bytes_in_order() -> None:
    raw = b"".join(b"%d \xff\xfe\x00\r\n\n" % number for number in range(500_000)) + b"torn"
    out, into = os.pipe()
    writer = in_background(lambda: write_all(into, raw))
    blocks = read(Stdin("s", start=1_000, descriptor=out), limit=1 << 20)
    writer.join()
    os.close(out)
    assert b"".join(block.data for block in blocks) == raw
    assert all(block.data.endswith(b"\n") for block in blocks[:-1])
    assert max(len(block.data) for block in blocks) <= 1 << 20
    assert blocks[0].start == 1_000
    assert [block.start for block in blocks[1:]] == [block.end for block in blocks[:-1]]
    assert (blocks[-1].source, blocks[-1].partition) == ("s", "stdin")


def test_golden_trickle_comes_at_once_and_a_torn_line_waits() -> None:
    out, into = os.pipe()
    stdin = Stdin("s", descriptor=out)
    assert stdin.poll(0) is None
    for number in range(10):
        os.write(into, b"line %d\n" % number)
        block, waited_s = wait_for(stdin)
        assert block.data == b"line %d\n" % number
        assert waited_s < 0.5
    os.write(into, b"torn")
    time.sleep(0.05)
    assert stdin.poll(0) is None
    assert not stdin.finished
    os.write(into, b" and whole\nnext")
    assert wait_for(stdin)[0].data == b"torn and whole\n"
    os.close(into)
    assert wait_for(stdin)[0].data == b"next"
    assert stdin.finished
    assert stdin.poll(0) is None
    os.close(out)


def test_golden_long_lines_do_not_stall_nor_fill_memory() -> None:
    raw = b"a\n" + b"x" * 4_999_999 + b"\nb\n" + b"y" * 60_000_000 + b"\nc\n"
    out, into = os.pipe()
    writer = in_background(lambda: write_all(into, raw))
    blocks = read(Stdin("s", descriptor=out), limit=1 << 20)
    writer.join()
    os.close(out)
    assert b"".join(block.data for block in blocks) == (
        b"a\n" + b"x" * (2 << 20) + b"b\n" + b"y" * (2 << 20) + b"c\n"
    )
    for block in blocks:
        assert raw[block.start : block.start + len(block.data)] == block.data
    assert blocks[-1].end == len(raw)


def test_contract_writer_is_held_back_by_who_does_not_poll() -> None:
    out, into = os.pipe()
    stdin = Stdin("s", descriptor=out)
    assert stdin.poll(0) is None
    raw = b"x" * 999 + b"\n"
    written = 0
    os.set_blocking(into, False)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        try:
            written += os.write(into, raw * 60)
        except BlockingIOError:
            time.sleep(0.01)
    assert 15 << 20 < written < 20 << 20
    stdin.close()
    os.close(into)
    os.close(out)


def test_contract_file_and_empty_input(tmp_path: Path) -> None:
    path = tmp_path / "in"
    for raw in (b"", b"one\ntwo", b"\n"):
        path.write_bytes(raw)
        descriptor = os.open(path, os.O_RDONLY)
        stdin = Stdin("s", descriptor=descriptor)
        assert b"".join(block.data for block in read(stdin)) == raw
        os.close(descriptor)


def test_contract_terminal() -> None:
    owner, terminal = pty.openpty()
    stdin = Stdin("s", descriptor=terminal)
    assert stdin.poll(0) is None
    os.write(owner, b"typed\n")
    assert wait_for(stdin)[0].data == b"typed\n"
    os.write(owner, b"\x04")  # control-D
    assert read(stdin) == []
    os.close(owner)
    os.close(terminal)


def test_contract_descriptor_that_does_not_block() -> None:
    out, into = os.pipe()
    os.set_blocking(out, False)
    stdin = Stdin("s", descriptor=out)
    assert stdin.poll(0) is None
    time.sleep(0.02)
    os.write(into, b"late\n")
    assert wait_for(stdin)[0].data == b"late\n"
    os.close(into)
    assert read(stdin) == []
    os.close(out)


def test_error_closed_input() -> None:
    script = (
        "import os, time; os.close(0)\n"
        "from connectors.stdin import Stdin\n"
        "from engine.errors import SourceError\n"
        "stdin = Stdin('s')\n"
        "try:\n"
        "    while not stdin.finished: stdin.poll(0); time.sleep(0.001)\n"
        "except SourceError as fault: print(fault)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=30, check=True, text=True
    )
    assert done.stdout == "`stdin` must be open for reading, got Bad file descriptor\n"


def test_error_folder_as_input(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    stdin = Stdin("s", descriptor=descriptor)
    with pytest.raises(SourceError, match="must be open for reading, got Is a directory"):
        read(stdin)
    os.close(descriptor)


def test_contract_silent_input_does_not_hold_back_the_exit() -> None:
    script = "from connectors.stdin import Stdin; stdin = Stdin('s'); stdin.poll(0)"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(timeout=30) == 0
