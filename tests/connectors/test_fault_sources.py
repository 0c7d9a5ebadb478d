"""Files that change under their reader: what came before is given, and nothing is passed over.

Growth, rotation and truncation of followed files are in `test_follow`, torn archives in
`test_files`; here is what else can become of a file, and what each says.
"""

import contextlib
import gzip
import os
import tempfile
from pathlib import Path

import pytest

from connectors.files import StoredFile
from connectors.tail import FollowedFile
from engine.errors import SourceError

LINES = [b"line %d\n" % n for n in range(200_000)]
WHOLE = b"".join(LINES)


@contextlib.contextmanager
def unprivileged():
    """Be somebody whom permissions concern, within."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_path():
    """A folder that everybody may look into; pytest's own are for its user alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def read_on(file, given):
    """Read a file to its end, or its fault."""
    while not file.finished:
        block = file.poll(0, 1 << 16)
        given += [block.data] if block else []


def drained(partition, now_us=10**15, step_us=200_000, polls=30):
    """All bytes that a partition gives within some seconds of its clock."""
    found = []
    for n in range(polls):
        block = partition.poll(now_us + n * step_us)
        if block is not None:
            found.append(block.data)
    return b"".join(found)


def test_fault_a_file_that_is_cut_off_while_it_is_read_is_told(tmp_path):
    path = tmp_path / "a.ndjson"
    path.write_bytes(WHOLE)
    file = StoredFile("s", str(path))
    given = [file.poll(0, 1 << 20).data]
    os.truncate(path, 1000)
    with pytest.raises(SourceError, match=r"must not be cut off while they are read, got .* 1000 "):
        read_on(file, given)
    assert WHOLE.startswith(b"".join(given))
    file.close()


def test_fault_an_archive_that_is_cut_off_while_it_is_read_is_told(tmp_path):
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(gzip.compress(WHOLE, 1))
    file = StoredFile("s", str(path))
    given = [file.poll(0, 1 << 16).data]
    os.truncate(path, 1000)
    with pytest.raises(SourceError, match=r"must not be cut off|must be whole archives"):
        read_on(file, given)
    assert WHOLE.startswith(b"".join(given))
    file.close()


@pytest.mark.parametrize("how", ["renamed", "removed", "forbidden"])
def test_fault_a_file_that_is_open_is_read_to_its_end_whatever_becomes_of_its_name(tmp_path, how):
    path = tmp_path / "a.ndjson"
    path.write_bytes(WHOLE)
    file = StoredFile("s", str(path))
    given = [file.poll(0, 1 << 20).data]
    if how == "renamed":
        path.rename(tmp_path / "b.ndjson")
        path.write_bytes(b"other\n")
    elif how == "removed":
        path.unlink()
    else:
        path.chmod(0)
    with unprivileged():
        read_on(file, given)
    assert b"".join(given) == WHOLE


def test_error_a_folder_in_the_place_of_a_followed_file(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    file = FollowedFile("s", str(path))
    assert drained(file, polls=3) == b"one\n"
    with path.open("ab") as more:
        more.write(b"two\n")
    path.rename(tmp_path / "a.log.1")
    path.mkdir()
    (path / "x").touch()
    assert drained(file, 2 * 10**15, polls=2) == b"two\n"
    with pytest.raises(SourceError, match=r'regular files, got .*a.log", which is a directory'):
        drained(file, 3 * 10**15)
    file.close()


def test_error_a_followed_file_that_may_not_be_read_after_its_rotation(open_path):
    path = open_path / "a.log"
    path.write_bytes(b"one\n")
    file = FollowedFile("s", str(path))
    assert drained(file, polls=3) == b"one\n"
    path.rename(open_path / "a.log.1")
    path.write_bytes(b"two\n")
    path.chmod(0)
    with unprivileged(), pytest.raises(SourceError, match=r"readable, got .*Permission denied"):
        drained(file, 2 * 10**15)
    file.close()
    # Once it may be, a new start goes on from there.
    path.chmod(0o644)
    again = FollowedFile("s", str(path), 4, file.state)
    assert drained(again, 3 * 10**15) == b"two\n"
    again.close()


def test_golden_a_followed_file_whose_permission_is_lost_is_read_on(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    file = FollowedFile("s", str(path))
    assert drained(file, polls=3) == b"one\n"
    path.chmod(0)
    with path.open("ab") if os.geteuid() == 0 else contextlib.nullcontext() as more:
        if more is not None:
            more.write(b"two\n")
    with unprivileged():
        assert drained(file, 2 * 10**15) == (b"two\n" if os.geteuid() == 0 or more else b"")
    file.close()
