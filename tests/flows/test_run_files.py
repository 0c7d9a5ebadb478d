"""Files as a user has them: several formats at once, damaged, missing, named by nothing."""

import gzip

import pytest
import zstandard
from commands import (
    assert_same,
    bellwether,
    done,
    encoded,
    lawful,
    one,
    prediction,
    relations,
    rows,
)


@pytest.fixture
def lines():
    return [
        encoded([prediction(n, label="ab"[n % 3 == 0], score=(n % 10) / 10)]) for n in range(300)
    ]


def test_golden_formats_at_once_are_partitions(tmp_path, lines):
    folder = tmp_path / "in"
    folder.mkdir()
    packers = {".ndjson": bytes, ".ndjson.gz": gzip.compress, ".ndjson.zst": zstandard.compress}
    for nth, (ending, pack) in enumerate(packers.items()):
        (folder / f"part{nth}{ending}").write_bytes(pack(b"".join(lines[nth::3])))
    summary = done("run", "--source", f"{folder}/*", "--data", tmp_path / "data")
    assert summary.startswith("300 lines in ")
    found = rows(tmp_path / "data", "select partition, position, events from progress order by 1")
    assert found == [
        (str(folder / f"part{nth}{ending}"), sum(map(len, lines[nth::3])), 100)
        for nth, ending in enumerate(packers)
    ]
    done("run", "--data", tmp_path / "piped", stdin=b"".join(lines))
    assert_same(lawful(tmp_path / "data"), lawful(tmp_path / "piped"))


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_fault_a_torn_archive_keeps_what_came_before(tmp_path, lines, ending, pack):
    torn, data = tmp_path / f"torn{ending}", tmp_path / "data"
    members = pack(b"".join(lines[:200])) + pack(b"".join(lines[200:]))
    torn.write_bytes(members[:-30])
    ended = bellwether("run", "--source", torn, "--data", data)
    told = ended.stderr.decode()
    assert ended.returncode == 2, told
    assert told.startswith("bellwether: `files` must be whole archives, got ")
    assert str(torn) in told
    assert told.count("\n") == 1
    kept = one(data, "select count(*), count(*) filter (event_id = 'e199') from events")
    assert kept[0] >= 200
    assert kept[1] == 1
    assert one(data, "select count(*) from rejects") == (0,)
    assert one(data, "select position from progress") == (sum(map(len, lines[: kept[0]])),)
    # Once the file is whole the next run goes on, and all is as if nothing had been.
    torn.write_bytes(members)
    done("run", "--source", torn, "--data", data)
    whole = tmp_path / f"whole{ending}"
    whole.write_bytes(members)
    done("run", "--source", whole, "--data", tmp_path / "calm")
    assert_same(lawful(data), lawful(tmp_path / "calm"))


def test_fault_damage_in_one_file_keeps_the_others(tmp_path, lines):
    (tmp_path / "a.ndjson").write_bytes(b"".join(lines[:100]))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"".join(lines[100:]))[:-2000])
    words = ("run", "--source", f"{tmp_path}/[ab].*", "--data", tmp_path / "data")
    for _ in range(2):  # the second run reads nothing and says the same
        ended = bellwether(*words)
        assert (ended.returncode, ended.stderr.count(b"\n")) == (2, 1)
        assert str(tmp_path / "b.gz").encode() in ended.stderr
    # What came before the damage in the order of the merge is there; the rest is not lost.
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"".join(lines[100:])))
    done(*words)
    assert one(tmp_path / "data", "select count(*) from events") == (300,)


@pytest.mark.parametrize("name", ["nowhere.ndjson", "no*where.ndjson", "."])
def test_error_nothing_to_read_is_one_line_and_leaves_the_folder_free(tmp_path, lines, name):
    ended = bellwether("run", "--source", name, "--data", "data", folder=tmp_path)
    told = ended.stderr.decode()
    assert ended.returncode == 2, told
    assert told.startswith("bellwether: `files` must ")
    assert f'"{name}"' in told or str(tmp_path) in told
    assert told.count("\n") == 1
    done("run", "--data", "data", folder=tmp_path, stdin=lines[0])
    assert one(tmp_path / "data", "select count(*) from events") == (1,)


def test_golden_a_file_that_has_grown_is_read_on(tmp_path, lines):
    source, data = tmp_path / "events.ndjson", tmp_path / "data"
    whole = b"".join(lines)
    source.write_bytes(b"".join(lines[:100]) + lines[100][:-1])  # the last line has no newline yet
    assert done("run", "--source", source, "--data", data).startswith("101 lines in ")
    source.write_bytes(whole)
    summary = done("run", "--source", source, "--data", data)
    assert "199 events" in summary
    source.write_bytes(lines[0])
    ended = bellwether("run", "--source", source, "--data", data)
    assert ended.returncode == 2
    assert b"must be at least as long as what was read of them" in ended.stderr
    done("run", "--data", tmp_path / "piped", stdin=whole)
    assert_same(lawful(data), lawful(tmp_path / "piped"))
    names = ("models", "votes")
    assert relations(data, names) == relations(tmp_path / "piped", names)
