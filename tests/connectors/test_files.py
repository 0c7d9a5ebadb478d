"""Files are read whole, once, from any position, plain or packed; what cannot be read is said."""

import gzip
import io
import os
import random
import resource
import tempfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.archives import open_reader
from connectors.files import StoredFile, open_files
from engine.batch import Block
from engine.errors import SourceError

LIMIT = 1 << 20


def fresh(_source: str, _name: str) -> tuple[int, str | None]:
    return 0, None


def read(file: StoredFile, limit: int = LIMIT) -> list[Block]:
    blocks = []
    while not file.finished:
        block = file.poll(7, limit)
        if block is not None:
            blocks.append(block)
    return blocks


def joined(blocks: list[Block]) -> bytes:
    return b"".join(block.data for block in blocks)


def lines(count: int, seed: int = 0) -> bytes:
    draw = random.Random(seed)
    return b"".join(
        b'{"id":%d,"x":"%s"}\n' % (number, b"y" * draw.randrange(60)) for number in range(count)
    )


def zst(raw: bytes) -> bytes:
    return zstandard.compress(raw)


def zst_streamed(raw: bytes) -> bytes:
    """Frames without a content size, as a pipe writes them, with a skippable one between."""
    out = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(out, closefd=False) as writer:
        writer.write(raw)
    return out.getvalue() + b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain.ndjson": bytes,
    "one.gz": gzip.compress,
    "one.zst": zst,
    "streamed.zst": zst_streamed,
    "members.gz": lambda raw: b"".join(
        gzip.compress(raw[at : at + 9_999]) for at in range(0, len(raw) or 1, 9_999)
    ),
    "frames.zst": lambda raw: b"".join(
        zst_streamed(raw[at : at + 9_999]) for at in range(0, len(raw) or 1, 9_999)
    ),
    "padded.gz": lambda raw: gzip.compress(raw) + b"\0" * 300_000,
}


@pytest.mark.parametrize("name", PACKERS)
def test_oracle_every_kind_of_file_gives_its_content(tmp_path: Path, name: str) -> None:
    raw = lines(60_000) + b"\xff\xfe\x00 not utf-8\n\n\r\nlast line without newline"
    path = tmp_path / name
    path.write_bytes(PACKERS[name](raw))
    (file,) = open_files("s", [str(path)], fresh)
    blocks = read(file)
    assert joined(blocks) == raw
    assert len(blocks) > 2
    assert [block.start for block in blocks[1:]] == [block.end for block in blocks[:-1]]
    assert {block.received_us for block in blocks} == {7}
    assert file.name == os.path.realpath(path)
    assert file.bounded
    assert file.size == file.consumed == path.stat().st_size


@pytest.mark.parametrize("name", PACKERS)
def test_law_resume_at_every_block_goes_on_with_the_same_blocks(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKERS[name](lines(3_000)))
    file = StoredFile("s", str(path))
    states = [(0, file.state)]
    blocks = []
    while not file.finished:
        block = file.poll(0, 10_000)
        if block is not None:
            blocks.append(block)
            states.append((block.end, file.state))
    assert len(blocks) > 5
    for index, (position, state) in enumerate(states):
        assert read(StoredFile("s", str(path), position, state), 10_000) == [
            Block("s", str(path), b.start, b.data, 7) for b in blocks[index:]
        ]
        # a state may be ahead of the position that was committed
        assert joined(read(StoredFile("s", str(path), position, states[-1][1]), 10_000)) == joined(
            blocks[index:]
        )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")), max_size=40),
    st.sampled_from([b"", b"torn"]),
    st.sampled_from(sorted(PACKERS)),
    st.integers(1, 200),
    st.data(),
)
def test_law_resume_at_any_line_gives_each_line_once(
    texts: list[bytes], torn: bytes, name: str, limit: int, data: st.DataObject
) -> None:
    raw = b"".join(text + b"\n" for text in texts) + torn
    starts = [0, *(at + 1 for at, byte in enumerate(raw) if byte == 10), len(raw)]
    position = data.draw(st.sampled_from(starts))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(PACKERS[name](raw))
        first = read(StoredFile("s", str(path)), limit)
        assert joined(first) == raw
        rest = read(StoredFile("s", str(path), position), limit)
        assert joined(rest) == raw[position:]
        assert all(block.data.endswith(b"\n") for block in rest[:-1])


@pytest.mark.parametrize("name", PACKERS)
def test_contract_finished_file_is_not_read_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    raw = lines(500)
    path.write_bytes(PACKERS[name](raw))
    file = StoredFile("s", str(path))
    end = read(file)[-1].end
    again = StoredFile("s", str(path), end, file.state)
    assert again.finished
    assert again.poll(0) is None
    without_state = StoredFile("s", str(path), end)
    assert read(without_state) == []


def test_contract_what_was_appended_is_read_later(tmp_path: Path) -> None:
    for name in ("a.ndjson", "a.gz", "a.zst"):
        pack = PACKERS["one" + name[1:]] if name != "a.ndjson" else bytes
        path = tmp_path / name
        path.write_bytes(pack(b"one\ntwo\n"))
        file = StoredFile("s", str(path))
        assert joined(read(file)) == b"one\ntwo\n"
        with path.open("ab") as out:
            out.write(pack(b"three\n"))
        again = StoredFile("s", str(path), 8, file.state)
        assert joined(read(again)) == b"three\n"


@pytest.mark.parametrize("name", ["plain.ndjson", "one.gz", "one.zst"])
@pytest.mark.parametrize("limit", [1 << 20, 16 << 20])
def test_golden_long_lines_come_alone_with_true_positions(
    tmp_path: Path, name: str, limit: int
) -> None:
    parts = [
        b"a\nb\n",
        b"x" * 4_999_999 + b"\n",
        b"c\n",
        b"y" * 1_500_000 + b"\n",
        b"z" * 3_000_000,
    ]
    path = tmp_path / name
    path.write_bytes(PACKERS[name](b"".join(parts)))
    blocks = read(StoredFile("s", str(path)), limit)
    for before, after in pairwise(blocks):
        assert before.end == after.start
    assert blocks[-1].end == sum(map(len, parts))
    content = b"".join(parts)
    for block in blocks:
        assert content[block.start : block.start + len(block.data)] == block.data
    if limit == 1 << 20:
        assert [len(block.data) for block in blocks] == [4, 2 << 20, 2, 1_500_001, 2 << 20]
        assert [block.skipped for block in blocks] == [0, 5_000_000 - (2 << 20), 0, 0, 902_848]
        for block, part in zip(blocks, parts, strict=True):
            assert read(StoredFile("s", str(path), block.start), limit)[0].data == part[: 2 << 20]


@pytest.mark.parametrize("name", ["a.gz", "a.zst"])
@pytest.mark.parametrize("missing", [1, 4, 9, 2_000])
def test_error_truncated_archive_gives_all_lines_before(
    tmp_path: Path, name: str, missing: int
) -> None:
    raw = os.urandom(3_000_000).hex().encode()
    raw = b"\n".join(raw[at : at + 100] for at in range(0, len(raw), 100)) + b"\n"
    stored = (gzip.compress if name.endswith("gz") else zst)(raw)[:-missing]
    path = tmp_path / name
    path.write_bytes(stored)
    if name.endswith("gz"):
        expected = zlib.decompressobj(31).decompress(stored)
    else:
        expected = zstandard.ZstdDecompressor().decompressobj().decompress(stored)
    got, fault = until_fault(StoredFile("s", str(path)))
    assert got == expected[: expected.rfind(b"\n") + 1]
    assert len(got) > 2_500_000
    assert f'"{path}"' in str(fault)
    assert f"byte {len(stored)} as stored" in str(fault)


@pytest.mark.parametrize("name", ["a.gz", "a.zst"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_error_corrupt_archive_gives_all_lines_before(
    tmp_path: Path, name: str, share: float
) -> None:
    raw = lines(50_000)
    stored = bytearray((gzip.compress if name.endswith("gz") else zst)(raw))
    at = int(len(stored) * share)
    for index in range(at, at + 20):
        stored[index] ^= 0xFF
    path = tmp_path / name
    path.write_bytes(stored)
    got, fault = until_fault(StoredFile("s", str(path)))
    assert got[-1:] == b"\n"
    sound = oracle_prefix(bytes(stored), name)
    assert got == sound[: sound.rfind(b"\n") + 1]
    assert f'"{path}"' in str(fault)
    again, fault_again = until_fault(StoredFile("s", str(path), len(got)))
    assert again == b""
    assert str(fault_again) == str(fault)


def oracle_prefix(stored: bytes, name: str) -> bytes:
    """What the library gives when it is fed single bytes from the front."""
    if name.endswith("gz"):
        unpack = zlib.decompressobj(31).decompress
    else:
        unpack = zstandard.ZstdDecompressor().decompressobj().decompress
    out = bytearray()
    try:
        for index in range(len(stored)):
            out += unpack(stored[index : index + 1])
    except (zlib.error, zstandard.ZstdError):
        pass
    return bytes(out)


def until_fault(file: StoredFile) -> tuple[bytes, SourceError]:
    got = b""
    with pytest.raises(SourceError) as caught:  # noqa: PT012  the polls before are what is tested
        while not file.finished:
            block = file.poll(0, LIMIT)
            got += block.data if block else b""
    file.close()
    return got, caught.value


@pytest.mark.parametrize("name", ["plain.gz", "plain.zst", "empty.gz", "tail.gz"])
def test_error_no_archive_at_all(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    stored = {"empty.gz": b"", "tail.gz": gzip.compress(b"good\n") + b"more"}
    path.write_bytes(stored.get(name, b'{"id": 1}\n'))
    got, fault = until_fault(StoredFile("s", str(path)))
    assert got == (b"good\n" if name == "tail.gz" else b"")
    assert str(fault).startswith(f'`files` must be whole archives, got "{path}", damaged')


def test_contract_bombs_are_unpacked_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstandard.compress(bytes(256 << 20)))
    reader = open_reader(str(path))
    assert max(len(reader.read(1)) for _ in range(3)) <= 128 << 20
    reader.close()
    (block,) = read(StoredFile("s", str(path)))
    assert (len(block.data), block.end) == (2 << 20, 256 << 20)


def test_contract_patterns_find_every_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a.log", "deep/b.log", "deep/er/c.log", "odd[1].log", "deep/x.txt"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "link.log").symlink_to("a.log")
    monkeypatch.chdir(tmp_path)
    files = open_files("s", ["**/*.log", "a.log", "odd[1].log", str(tmp_path / "deep/*")], fresh)
    names = [os.path.relpath(file.name, os.path.realpath(tmp_path)) for file in files]
    assert names == ["a.log", "deep/b.log", "deep/er/c.log", "deep/x.txt", "odd[1].log"]
    assert [joined(read(file)).decode() for file in files] == names


def test_contract_resume_is_asked_by_source_and_name(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one\ntwo\n")
    committed = {("s", str(path)): (4, None)}
    (file,) = open_files("s", [str(path)], lambda source, name: committed[(source, name)])
    assert joined(read(file)) == b"two\n"


def test_contract_more_files_than_a_shell_allows(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number:02}").write_bytes(b"a\nb\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = max(int(link.name) for link in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 20, hard))
    try:
        files = open_files("s", [str(tmp_path / "*")], fresh)
        first = [file.poll(0, 2) for file in files]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [block and block.data for block in first] == [b"a\n"] * 50
    for file in files:
        file.close()


@pytest.mark.parametrize("pattern", ["x/*.gz", "missing.ndjson", "**/none"])
def test_error_nothing_matches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_bytes(b"x\n")
    with pytest.raises(SourceError) as caught:
        open_files("s", ["there", pattern], fresh)
    assert str(caught.value) == f'`files` must match at least one file, got "{pattern}"'


def test_error_folder_pipe_and_forbidden_file() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with pytest.raises(SourceError, match="which is a directory"):
            open_files("s", [name], fresh)
        os.mkfifo(folder / "pipe")
        with pytest.raises(SourceError, match="which is no regular file"):
            open_files("s", [str(folder / "pipe")], fresh)
        secret = folder / "secret"
        secret.write_bytes(b"x\n")
        secret.chmod(0)
        before = os.geteuid()
        if before == 0:  # root may read everything
            os.seteuid(65_534)
        try:
            with pytest.raises(SourceError, match=r'must be readable, got ".*secret": Permission'):
                open_files("s", [str(secret)], fresh)
        finally:
            os.seteuid(before)


@pytest.mark.parametrize("name", ["plain.ndjson", "one.gz", "one.zst"])
def test_error_file_shorter_than_what_was_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKERS[name](b"one\ntwo\n"))
    with pytest.raises(SourceError, match="with 8 bytes, of which 100 were read before"):
        read(StoredFile("s", str(path), 100))


@pytest.mark.parametrize("name", ["plain.ndjson", "one.gz", "one.zst"])
def test_error_another_file_has_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKERS[name](lines(100)))
    file = StoredFile("s", str(path))
    block = file.poll(0, 1000)
    assert block is not None
    path.write_bytes(PACKERS[name](b"other first line\n" + lines(100)))
    with pytest.raises(SourceError, match="must still begin as when they were read"):
        read(StoredFile("s", str(path), block.end, file.state))
    assert joined(read(StoredFile("s", str(path), 0, file.state)))[:5] == b"other"


def test_contract_skipping_gives_way(tmp_path: Path) -> None:
    """A resume far into an archive takes many polls, none of them long."""
    path = tmp_path / "a.gz"
    raw = (b"x" * 99 + b"\n") * 2_000_000
    path.write_bytes(gzip.compress(raw, 1))
    file = StoredFile("s", str(path), len(raw) - 100)
    polls = 0
    while (block := file.poll(0)) is None:
        polls += 1
        assert not file.finished
    assert block.data == raw[-100:]
    assert polls >= 2
