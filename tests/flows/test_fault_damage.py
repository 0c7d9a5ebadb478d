"""A damaged store: one clear message and nothing overwritten, or tables that are right; and repair.

Damage is put at seeded places of log and file (`BELLWETHER_DAMAGES` sets how many; 100 at night).
After each repair the next run must end in the tables of a run that nothing ever happened to.
"""

import os
import random
import shutil
import subprocess
import sys

import duckdb
import pyarrow.parquet as pq
import pytest
from commands import relations
from damages import command, flipped, killed_folder

from connectors.damage import PUBLISHED_NAME, STORE_NAME, wal_of
from connectors.folderlock import FolderLock
from engine.rows import SCHEMA_VERSION

DAMAGES = int(os.environ.get("BELLWETHER_DAMAGES", "2"))
# They follow the moments of commits: snapshots are taken behind one, times are measured.
MOVING = ("anomaly_snapshots", "anomaly_annotations", "anomaly_job_stats")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    return killed_folder(tmp_path_factory)


def contents(data):
    return {path.name: path.read_bytes() for path in data.iterdir() if path.name != "lock"}


def told(rows):
    """Rows as text; sums of floats follow the cuts into blocks in their last digits."""
    return [repr([f"{x:.9g}" if isinstance(x, float) else x for x in row]) for row in rows]


def assert_equal(data, expected):
    found = relations(data)
    for name, rows in expected.items():
        if name not in MOVING:
            apart = sorted(set(told(found[name])) ^ set(told(rows)))[:3]
            assert not apart, (name, apart)
            assert len(found[name]) == len(rows), name


def assert_refused(capsys, home, words):
    before = contents(home / "data")
    code, out, said = command(capsys, home, *words)
    assert (code, out) == (1, "")
    assert said.count("\n") == 1, said
    assert f"data/{STORE_NAME} is damaged: " in said
    assert "bellwether repair --data data" in said
    assert contents(home / "data") == before
    return said


def repaired(capsys, home, choice):
    code, out, said = command(capsys, home, "repair", "--data", "data", choice)
    assert (code, said) == (0, ""), said
    return out


def rerun(capsys, home):
    code, _, said = command(capsys, home, "run", "config.yaml")
    assert code == 0, said


def break_log(data, chance):
    flipped(wal_of(data / STORE_NAME), chance.randrange(wal_of(data / STORE_NAME).stat().st_size))


def test_fault_a_flipped_bit_of_the_log_is_refused_and_salvaged(killed, tmp_path, capsys):
    chance = random.Random(21)
    for n in range(max(DAMAGES // 2, 1)):
        home = tmp_path / str(n)
        data = killed.copied(home)
        break_log(data, chance)
        damaged = wal_of(data / STORE_NAME).read_bytes()
        said = assert_refused(capsys, home, ["sql", "FROM events"])
        assert "log" in said or "WAL" in said
        assert_refused(capsys, home, ["run", "config.yaml"])
        before = contents(data)
        code, out, _ = command(capsys, home, "repair", "--data", "data")
        assert code == 1
        assert contents(data) == before, "a look has changed something"
        places = [out.index(f"--{word}") for word in ("salvage", "from-snapshot", "rebuild")]
        assert places == sorted(places)
        out = repaired(capsys, home, "--salvage")
        (aside,) = data.glob(f"{STORE_NAME}.wal.damaged-*")
        assert aside.read_bytes() == damaged
        assert aside.name in out
        rerun(capsys, home)
        assert_equal(data, killed.expected)


def test_fault_a_flipped_bit_of_the_file_is_told_or_does_no_harm(killed, tmp_path, capsys):
    chance = random.Random(4)
    hits = 0
    for n in range(DAMAGES):
        home = tmp_path / str(n)
        data = killed.copied(home)
        size = (data / STORE_NAME).stat().st_size
        flipped(data / STORE_NAME, chance.randrange(size))
        code, _, said = command(capsys, home, "repair", "--data", "data")
        assert code in {0, 1}
        if code == 0:  # a block that nothing lies in
            rerun(capsys, home)
            assert_equal(data, killed.expected)
            continue
        hits += 1
        before = contents(data)
        code, _, said = command(capsys, home, "export", "--parquet", "out", "--data", "data")
        assert code in {0, 1}
        assert not code or (said.count("\n") == 1 and " is damaged: " in said), said
        assert contents(data) == before
        out = repaired(capsys, home, ("--from-snapshot", "--rebuild")[hits % 2])
        assert {f"{STORE_NAME}.damaged-" in out, f"{STORE_NAME}.wal.damaged-" in out} == {True}
        rerun(capsys, home)
        assert_equal(data, killed.expected)
    assert hits


def test_fault_a_run_that_comes_upon_damage_ends_with_one_message(killed, tmp_path, capsys):
    chance, said_s = random.Random(7), 0
    for n in range(max(DAMAGES // 2, 1)):
        home = tmp_path / str(n)
        data = killed.copied(home)
        size = (data / STORE_NAME).stat().st_size
        flipped(data / STORE_NAME, chance.randrange(3 * 4096, size))
        shutil.rmtree(data / "unused", ignore_errors=True)
        code, _, said = command(capsys, home, "run", "config.yaml")
        if code:
            said_s += 1
            assert code == 1
            assert "Traceback" not in said
            assert " is damaged: " in said.splitlines()[-1]
            continue
        out = home / "out"  # what it read was whole; is the rest?
        code, _, said = command(capsys, home, "export", "--parquet", "out", "--data", "data")
        assert not code or " is damaged: " in said
        for name, rows in killed.expected.items() if not code else ():
            found = pq.read_metadata(out / f"{name}.parquet").num_rows
            assert name in MOVING or found == len(rows), name
    assert said_s or DAMAGES < 20


def torn(data):
    os.truncate(data / STORE_NAME, (data / STORE_NAME).stat().st_size * 2 // 3)


def zeroed(data):
    (data / STORE_NAME).write_bytes(b"\0" * (data / STORE_NAME).stat().st_size)


def emptied(data):
    (data / STORE_NAME).write_bytes(b"")


def removed(data):
    (data / STORE_NAME).unlink()


def all_removed(data):
    removed(data)
    wal_of(data / STORE_NAME).unlink()


def garbage(data):
    with (data / STORE_NAME).open("r+b") as file:
        file.write(b"garbage!" * 512)


def others_log(data):
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1])\n"
        "c.execute('CREATE TABLE t (i INTEGER)'); os._exit(0)"
    )
    other = data.parent / "other.duckdb"
    subprocess.run([sys.executable, "-c", code, str(other)], check=True, timeout=60)
    shutil.copy(wal_of(other), wal_of(data / STORE_NAME))


def log_of_zeros(data):
    wal_of(data / STORE_NAME).write_bytes(b"\0" * 9000)


@pytest.mark.parametrize(
    "damage",
    [torn, zeroed, emptied, removed, all_removed, garbage, others_log, log_of_zeros],
    ids=lambda damage: damage.__name__,
)
def test_fault_each_damage_is_refused_and_the_published_copy_restores_all(
    killed, tmp_path, capsys, damage
):
    data = killed.copied(tmp_path)
    damage(data)
    assert_refused(capsys, tmp_path, ["run", "config.yaml"])
    assert_refused(capsys, tmp_path, ["sql", "FROM progress"])
    out = repaired(capsys, tmp_path, "--from-snapshot")
    assert "stream (" in out
    assert "is read again from byte " in out
    if damage in {torn, removed}:
        rerun(capsys, tmp_path)
        assert_equal(data, killed.expected)
    else:
        code, out, _ = command(capsys, tmp_path, "repair", "--data", "data")
        assert code == 0, out


def test_error_a_store_of_a_newer_version_is_left_alone(killed, tmp_path, capsys):
    data = killed.copied(tmp_path)
    with duckdb.connect(str(data / STORE_NAME)) as connection:
        newer = str(SCHEMA_VERSION + 1)
        connection.execute("UPDATE settings SET value = ? WHERE name = 'schema_version'", [newer])
    before = contents(data)
    code, _, said = command(capsys, tmp_path, "repair", "--data", "data", "--rebuild")
    assert code == 1
    assert "must be opened by the Bellwether that has written it" in said
    assert contents(data) == before


def test_error_a_sound_store_is_not_repaired(killed, tmp_path, capsys):
    data = killed.copied(tmp_path)
    before = contents(data)
    code, out, said = command(capsys, tmp_path, "repair", "config.yaml")
    assert (code, said) == (0, "")
    assert out.count(": sound; ") == 2
    code, _, said = command(capsys, tmp_path, "repair", "config.yaml", "--rebuild")
    assert code == 2
    assert "must be for a damaged store, got a sound one" in said
    assert contents(data) == before


def test_error_a_damaged_published_copy_is_not_offered(killed, tmp_path, capsys):
    data = killed.copied(tmp_path)
    zeroed(data)
    (data / PUBLISHED_NAME).chmod(0o644)
    os.truncate(data / PUBLISHED_NAME, 300_000)
    code, out, _ = command(capsys, tmp_path, "repair", "--data", "data")
    assert code == 1
    assert "--from-snapshot" not in out
    code, _, said = command(capsys, tmp_path, "repair", "--data", "data", "--from-snapshot")
    assert code == 2
    assert "`--from-snapshot`" in said


def test_error_a_folder_in_use_or_of_nobody_is_not_repaired(killed, tmp_path, capsys):
    killed.copied(tmp_path)
    lock = FolderLock(tmp_path / "data")
    try:
        code, _, said = command(capsys, tmp_path, "repair", "--data", "data")
    finally:
        lock.release()
    assert code == 1
    assert "must be free, got locked by process" in said
    code, _, said = command(capsys, tmp_path, "repair", "--data", ".")
    assert code == 2
    assert "must be a data folder" in said
    assert not (tmp_path / "lock").exists()
