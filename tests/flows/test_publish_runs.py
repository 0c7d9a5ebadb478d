"""Published copies of real runs: who reads them sees whole commits, whatever happens to the run.

Every event of these streams is counted once, so in each commit the numbers of several relations
agree; a copy that was torn, or of two commits, would show there.
"""

import json
import os
import random
import signal
import subprocess
import threading
import time

import duckdb
import pytest
from commands import COMMAND, START_MS, bellwether, eventually
from damages import command, flipped
from small_disk import small_disk

from connectors.blocks import first_damaged
from connectors.damage import PUBLISHED_NAME, STORE_NAME
from connectors.publish import NEW_NAME

KILLS = int(os.environ.get("BELLWETHER_KILLS", "2"))
AGREE = """
    SELECT (SELECT coalesce(sum(events), 0)::BIGINT FROM progress),
        (SELECT count(*) FROM events),
        (SELECT coalesce(sum(count), 0)::BIGINT FROM confusion_matrix WHERE time_basis = 'event'),
        (SELECT coalesce(sum(count), 0)::BIGINT FROM confusion_matrix WHERE time_basis = 'label'),
        (SELECT count(DISTINCT event_id) FROM events)
"""


def lines(first, count):
    for n in range(first, first + count):
        event = {"model_id": f"m{n % 3}", "id": f"e{n}", "timestamp": START_MS + n * 100}
        event |= {"prediction": "ab"[n % 2], "label": "a", "features": {"x": n / 7}}
        yield json.dumps(event).encode() + b"\n"


def agreed(path):
    """The number of events in which all relations of a copy agree."""
    with duckdb.connect(str(path), read_only=True) as reader:
        numbers = reader.execute(AGREE).fetchone()
    assert len(set(numbers)) == 1, numbers
    return numbers[0]


def configured(home, every="1s", sources="[{name: piped, stdin: true}]", more=""):
    (home / "config.yaml").write_text(
        f"data: data\nsources: {sources}\npublish: {{every: {every}{more}}}\n"
    )
    return home / "data" / PUBLISHED_NAME


def fed(process, ended, seed=1):
    """Give a process lines of its standard input, until told to end."""
    chance, first = random.Random(seed), seed * 1_000_000
    while not ended.is_set():
        count = chance.randrange(1, 400)
        try:
            process.stdin.writelines(lines(first, count))
            process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return
        first += count
        time.sleep(0.02)


def test_law_who_reads_all_the_time_sees_whole_commits(tmp_path):
    path, ended, seen = configured(tmp_path, more=", at_stop: whole"), threading.Event(), []
    words = [*COMMAND, "run", "config.yaml"]
    with subprocess.Popen(
        words, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        feeder = threading.Thread(target=fed, args=(process, ended))
        feeder.start()
        try:
            eventually(path.exists, 30)
            until_s = time.monotonic() + 30
            while len(set(seen)) < 3 and time.monotonic() < until_s:
                seen.append(agreed(path))
        finally:
            ended.set()
            feeder.join()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, process.stderr.read()
    assert seen == sorted(seen)
    assert len(set(seen)) >= 3
    assert agreed(path) == agreed(tmp_path / "data" / STORE_NAME) >= seen[-1]


def test_fault_a_run_that_is_killed_while_it_publishes_leaves_a_whole_copy(tmp_path):
    path, ended, chance = configured(tmp_path), threading.Event(), random.Random(3)
    last = 0
    for n in range(KILLS):
        ended.clear()
        with subprocess.Popen(
            [*COMMAND, "run", "config.yaml"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            feeder = threading.Thread(target=fed, args=(process, ended, n))
            feeder.start()
            before = path.stat().st_ino if path.exists() else 0
            eventually(lambda: path.exists() and path.stat().st_ino != before, 60)  # noqa: B023
            time.sleep(chance.uniform(0.95, 1.1))  # about when the next one is made
            process.kill()
            ended.set()
            feeder.join()
        assert first_damaged(path) is None
        events = agreed(path)
        assert events >= last
        last = events
    code = bellwether("run", "config.yaml", folder=tmp_path).returncode
    assert code == 0
    assert not (tmp_path / "data" / NEW_NAME).exists()
    assert agreed(path) == agreed(tmp_path / "data" / STORE_NAME)


def test_fault_a_disk_without_room_is_told_and_does_no_harm(tmp_path):
    (tmp_path / "a.ndjson").write_bytes(b"".join(lines(0, 500)))
    home = tmp_path / "home"
    home.mkdir()
    with small_disk(home, "100m") as disk:
        text = f"data: {home}/data\nsources: [{{name: s, files: ['{tmp_path}/a.ndjson']}}]\n"
        (tmp_path / "config.yaml").write_text(f"{text}publish: {{every: 1s}}\n")
        done = disk.run("run", tmp_path / "config.yaml")
        assert done.returncode == 0, done.stderr
        assert "published.duckdb could not be renewed: the disk must have room for" in done.stderr
        assert "it is not there yet, and the run goes on" in done.stderr
        disk.copy(home / "data", tmp_path / "data")
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == [STORE_NAME, "lock"]
    assert agreed(tmp_path / "data" / STORE_NAME) == 500


@pytest.fixture
def stored(tmp_path, capsys):
    """A home with a store and its copy, and one line more to be read."""
    source = tmp_path / "a.ndjson"
    source.write_bytes(b"".join(lines(0, 3000)))
    path = configured(tmp_path, "1h", f"[{{name: s, files: ['{source}']}}]")
    assert command(capsys, tmp_path, "run", "config.yaml")[0] == 0
    assert agreed(path) == 3000
    with source.open("ab") as file:
        file.writelines(lines(3000, 1))
    return tmp_path, path


def test_fault_no_good_copy_is_replaced_by_one_of_a_damaged_store(stored, capsys):
    home, path = stored
    with duckdb.connect(str(home / "data" / STORE_NAME), read_only=True) as store:
        # A block that a run has no need to read: what the lines say.
        (block,) = store.execute(
            "SELECT min(block_id) FROM pragma_storage_info('events_kept')"
            " WHERE column_name = 'numbers' AND block_id >= 0"
        ).fetchone()
    flipped(home / "data" / STORE_NAME, 3 * 4096 + block * (1 << 18) + 100)
    before = path.stat()
    code, _, told = command(capsys, home, "run", "config.yaml")
    if code == 0:
        assert "published.duckdb could not be renewed" in told
    assert " is damaged: " in told
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert agreed(path) == 3000


def test_nothing_is_published_without_the_section_or_when_told(stored, capsys):
    home, path = stored
    before = path.stat().st_mtime_ns
    source = "[{name: s, files: ['a.ndjson']}]"
    configured(home, "1h", source, ", at_stop: never")
    assert command(capsys, home, "run", "config.yaml")[0] == 0
    assert path.stat().st_mtime_ns == before
    path.unlink()
    (home / "config.yaml").write_text(f"data: data\nsources: {source}\n")
    assert command(capsys, home, "run", "config.yaml")[0] == 0
    assert not path.exists()


def test_error_words_of_the_section(tmp_path, capsys):
    for text, told in (
        ("{every: 10}", None),
        ("{}", None),
        ("{every: 0s}", 'publish.every must be a duration from "1s" to "366d"'),
        ("{every: soon}", "publish.every must be a duration"),
        ("{at_stop: later}", "publish.at_stop must be one of brief, whole, never"),
        ("{evry: 1m}", '`publish.evry` is not a known key; did you mean "every"?'),
        ("often", "publish must be"),
    ):
        (tmp_path / "config.yaml").write_text(f"publish: {text}\n")
        code, _, said = command(capsys, tmp_path, "check", "config.yaml")
        assert (code, told is None or told in said) == (0 if told is None else 2, True), said
