"""Followed files: growth, rotation, truncation and restarts, all done for real, each line once."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.files import StoredFile
from connectors.follow import Follow
from connectors.tail import FollowedFile
from engine.errors import SourceError

SECOND_US = 1_000_000


class Reader:
    """Polls with a clock of its own, and checks that positions are monotone and without gaps."""

    def __init__(self, path: Path, start: int = 0, state: str | None = None) -> None:
        self.path = path
        self.file = FollowedFile("s", str(path), start, state)
        self.now_us = 1_000 * SECOND_US
        self.end = start
        self.state = state

    def read(self, seconds: float = 3.0) -> bytes:
        got, until = b"", self.now_us + int(seconds * SECOND_US)
        while self.now_us < until:
            block = self.file.poll(self.now_us)
            if block is None:
                self.now_us += 50_000
                continue
            assert block.start == self.end
            self.end = block.end
            got += block.data
        self.state = self.file.state
        return got

    def restarted(self) -> "Reader":
        self.file.close()
        return Reader(self.path, self.end, self.state)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    return path


def add(path: Path, raw: bytes) -> None:
    with path.open("ab") as out:
        out.write(raw)


def test_golden_growth_and_torn_lines(path: Path) -> None:
    reader = Reader(path)
    assert reader.read() == b"one\n"
    add(path, b"two\nthr")
    assert reader.read() == b"two\n"
    assert reader.read(60) == b""
    add(path, b"ee\n\xff\xfe\n")
    assert reader.read() == b"three\n\xff\xfe\n"
    assert not reader.file.finished
    assert not reader.file.bounded
    assert reader.end == reader.file.consumed == reader.file.size


def test_golden_growth_is_seen_within_a_tenth_of_a_second(path: Path) -> None:
    reader = Reader(path)
    reader.read(100)
    add(path, b"two\n")
    assert reader.read(0.15) == b"two\n"


def test_golden_backlog_is_read_without_pauses(path: Path) -> None:
    add(path, (b"x" * 99 + b"\n") * 30_000)
    file = FollowedFile("s", str(path))
    blocks = [file.poll(SECOND_US, 1 << 20) for _ in range(3)]
    assert [block and len(block.data) > 900_000 for block in blocks] == [True] * 3


def test_golden_rename_finishes_the_old_then_reads_the_new(path: Path) -> None:
    reader = Reader(path)
    reader.read()
    with path.open("ab") as old:
        old.write(b"two\n")
        old.flush()
        path.rename(path.with_suffix(".1"))
        path.write_bytes(b"first of new\n")
        assert reader.read(0.5) == b"two\n"
        old.write(b"late in old\n")
        old.flush()
        assert reader.read(0.5) == b"late in old\n"
        assert reader.read() == b"first of new\n"
    add(path, b"second\n")
    assert reader.read() == b"second\n"
    assert reader.end == len(b"one\ntwo\nlate in old\nfirst of new\nsecond\n")


def test_golden_empty_new_file_does_not_end_the_old(path: Path) -> None:
    """What logrotate's `create` makes is empty until the writer has reopened its log."""
    reader = Reader(path)
    reader.read()
    with path.open("ab") as old:
        path.rename(path.with_suffix(".1"))
        path.touch()
        assert reader.read(30) == b""
        old.write(b"still old\n")
        old.flush()
        assert reader.read() == b"still old\n"
    add(path, b"new\n")
    assert reader.read() == b"new\n"


def test_golden_torn_line_of_a_rotated_file_is_given_as_it_is(path: Path) -> None:
    reader = Reader(path)
    add(path, b"torn")
    assert reader.read() == b"one\n"
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"new\n")
    assert reader.read() == b"tornnew\n"
    assert reader.end == 12


def test_golden_copytruncate(path: Path) -> None:
    reader = Reader(path)
    add(path, b"two\nto")
    assert reader.read() == b"one\ntwo\n"
    shutil.copy(path, path.with_suffix(".1"))
    os.truncate(path, 0)
    assert reader.read() == b"to"
    add(path, b"a\n")
    assert reader.read() == b"a\n"
    os.truncate(path, 0)
    add(path, b"other, and longer than what was there before\n")
    assert reader.read() == b"other, and longer than what was there before\n"
    assert reader.end == 12 + 45


def test_golden_vanished_file_is_waited_for(path: Path) -> None:
    reader = Reader(path)
    assert reader.read() == b"one\n"
    path.unlink()
    assert reader.read(60) == b""
    path.write_bytes(b"back\n")
    assert reader.read() == b"back\n"
    restarted = reader.restarted()
    path.unlink()
    assert restarted.read(60) == b""
    path.write_bytes(b"again\n")
    assert restarted.read() == b"again\n"


def test_golden_restart_in_the_same_file(path: Path) -> None:
    reader = Reader(path)
    assert reader.read() == b"one\n"
    add(path, b"two\n")
    reader = reader.restarted()
    assert reader.read() == b"two\n"
    assert reader.restarted().read() == b""


def test_golden_restart_after_rotation_finishes_the_renamed_file(path: Path) -> None:
    reader = Reader(path)
    assert reader.read() == b"one\n"
    add(path, b"two\n")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"three\n")
    reader = reader.restarted()
    assert reader.read() == b"two\nthree\n"
    reader = reader.restarted()
    add(path, b"four\n")
    assert reader.read() == b"four\n"
    assert reader.end == 19


def test_golden_restart_after_truncation(path: Path) -> None:
    reader = Reader(path)
    assert reader.read() == b"one\n"
    path.write_bytes(b"two\nthree\n")
    assert reader.restarted().read() == b"two\nthree\n"


def test_golden_restart_with_the_inode_given_to_another_file(path: Path) -> None:
    reader = Reader(path)
    assert reader.read() == b"one\n"
    with path.open("r+b") as same:
        same.write(b"two\nthree\n")
    assert reader.restarted().read() == b"two\nthree\n"


def test_golden_restart_with_a_lost_file_says_so(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader(path)
    reader.read()
    reader.file.close()
    new = path.with_suffix(".new")
    new.write_bytes(b"other\n")
    new.replace(path)
    assert reader.restarted().read() == b"other\n"
    assert "what followed its first 4 bytes is lost" in caplog.text


def test_contract_state_may_be_ahead_of_the_position(path: Path) -> None:
    reader = Reader(path)
    reader.read()
    add(path, b"two\n")
    reader.read()
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"three\n")
    reader.read()
    for position, rest in ((0, b"one\ntwo\nthree\n"), (4, b"two\nthree\n"), (8, b"three\n")):
        assert Reader(path, position, reader.state).read() == rest
    assert Reader(path, 14, reader.state).read() == b""


def test_contract_bounded_run_goes_on_where_a_followed_one_stopped(path: Path) -> None:
    reader = Reader(path)
    reader.read()
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"two\n")
    assert reader.read() == b"two\n"
    add(path, b"three\n")
    stored = StoredFile("s", str(path), reader.end, reader.state)
    block = stored.poll(0)
    assert block is not None
    assert (block.start, block.data) == (8, b"three\n")
    add(path, b"four\n")
    assert Reader(path, block.end, stored.state).read() == b"four\n"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 1500)),
        st.sampled_from([("rotate", 0), ("truncate", 0), ("restart", 0), ("read", 0)]),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_law_every_line_comes_once(steps: list[tuple[str, int]]) -> None:
    """Whatever happens to the file, if only it was read before it was cut off."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.log"
        path.touch()
        reader, written, got = Reader(path), b"", b""
        for number, (step, length) in enumerate(steps):
            if step == "write":
                line = b"%d " % number + b"x" * length + b"\n"
                written += line
                add(path, line)
            elif step == "restart":
                reader = reader.restarted()
            elif step == "rotate":
                got += reader.read()
                path.rename(f"{path}.{number}")
                path.touch()
            else:
                got += reader.read()
                if step == "truncate":
                    os.truncate(path, 0)
        got += reader.read()
        reader.file.close()
        assert got == written
        assert reader.end == len(written)


def fresh(_source: str, _name: str) -> tuple[int, str | None]:
    return 0, None


def test_contract_new_files_are_found_and_rotated_ones_are_not(tmp_path: Path) -> None:
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_bytes(b"one\n")
    follow = Follow("s", [str(tmp_path / "*")], fresh)
    (file,) = follow.start()
    assert file.poll(0) is not None
    second.write_bytes(b"two\n")
    (found,) = follow.discover(5 * SECOND_US)
    assert found.name == str(second)
    first.rename(tmp_path / "a.log.1")
    (tmp_path / "c.log.gz").write_bytes(b"packed by logrotate")
    (tmp_path / "d.log").write_bytes(b"four\n")
    assert follow.discover(5 * SECOND_US + 999_999) == []
    assert [file.name for file in follow.discover(7 * SECOND_US)] == [str(tmp_path / "d.log")]
    assert follow.discover(9 * SECOND_US) == []
    states = {file.name: (4, file.state)}
    file.close()
    first.write_bytes(b"new\n")
    again = Follow("s", [str(tmp_path / "*.log*")], lambda _, name: states.get(name, (0, None)))
    (tmp_path / "c.log.gz").unlink()
    assert [Path(file.name).name for file in again.start()] == ["a.log", "b.log", "d.log"]


def test_contract_link_that_moves_on_is_a_rotation(tmp_path: Path) -> None:
    (tmp_path / "day1").write_bytes(b"one\n")
    (tmp_path / "day2").write_bytes(b"two\n")
    link = tmp_path / "current"
    link.symlink_to("day1")
    reader = Reader(link)
    assert reader.read() == b"one\n"
    link.unlink()
    link.symlink_to("day2")
    assert reader.read() == b"two\n"


def test_error_nothing_to_follow(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"")
    with pytest.raises(SourceError, match=r"must be plain files with --follow, got \".*a.gz\""):
        Follow("s", [str(tmp_path / "*")], fresh).start()
    with pytest.raises(SourceError, match=r"must match at least one file, got \".*none\""):
        Follow("s", [str(tmp_path / "none")], fresh).start()
    with pytest.raises(SourceError, match="which is a directory"):
        Follow("s", [str(tmp_path)], fresh).start()


def test_contract_known_file_may_be_gone_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    (file,) = Follow("s", [str(path)], lambda *_: (4, None)).start()
    assert file.poll(0) is None
    path.write_bytes(b"one\ntwo\n")
    block = file.poll(SECOND_US)
    assert block is not None
    assert (block.start, block.data) == (4, b"two\n")
