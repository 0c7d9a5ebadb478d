"""What changes an anomaly job: taken back, run again over stored events, kept, looked ahead of.

The strongest promise: a job that goes through the stored events again comes to the same results as
when they came, to the last digit. So each test compares with the folder that one run has left.
"""

import json
import math
import random
import shutil

import pytest
from commands import bellwether, done, eventually, owned, relations, rows, running

from flows.__main__ import main

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
PARTS = 5
MIDDLE = "2026-01-06T06:00:00Z"
RESULTS = (
    "anomaly_buckets",
    "anomaly_bucket_influencers",
    "anomaly_influencers",
    "anomaly_records",
)
CONFIG = """
data: {folder}/data
sources: [{{name: e, files: "{folder}/e*.ndjson"}}]
anomaly_jobs:
  - job_id: rate
    model: shop
    bucket_span: 15m
    detectors: [{{function: count}}, {{function: mean, field_name: score, partition_field_name: city}}]
    influencers: [city]
"""  # noqa: E501


def events():
    """Two days of a shop whose load follows the day, with one rush."""
    chance = random.Random(3)
    for minute in range(0, 2 * 1440, 3):
        many = max(0, round(chance.gauss(3 + 2 * math.sin(2 * math.pi * minute / 1440), 1)))
        for number in range(many * 6 if 2400 < minute < 2430 else many):
            yield {
                "model_id": "shop",
                "id": f"{minute}-{number}",
                "timestamp": START_MS + minute * 60_000 + number * 1_000,
                "prediction": "ab"[number % 2],
                "score": chance.random(),
                "city": chance.choice(["Oslo", "Rome"]),
            }


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ran")
    (folder / "c.yaml").write_text(CONFIG.format(folder=folder))
    lines = [json.dumps(event) + "\n" for event in events()]
    for part in range(PARTS):  # a snapshot is made at a commit: one run would make only one
        share = slice(part * len(lines) // PARTS, (part + 1) * len(lines) // PARTS)
        (folder / f"e{part}.ndjson").write_text("".join(lines[share]))
        done("run", folder / "c.yaml")
    return folder


@pytest.fixture
def folder(ran, tmp_path):
    """A copy of it, to be changed."""
    shutil.copytree(ran, tmp_path / "copy")
    (tmp_path / "copy" / "c.yaml").write_text(CONFIG.format(folder=tmp_path / "copy"))
    return tmp_path / "copy"


def one(data, sql):
    """Give the one value that a query answers."""
    return rows(data, sql)[0][0]


def acted(capsys, *words):
    """Run a command that must succeed; gives the line that it says."""
    assert main(["anomaly", *map(str, words)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    return line


def results(folder):
    """Give what is said of closed buckets; an open one is judged again when more comes."""
    # All but the clock's own column.
    columns = "COLUMNS(lambda name: name <> 'processing_time_ms')"
    return {
        name: rows(
            folder / "data",
            f"SELECT {columns} FROM {name} WHERE NOT is_interim ORDER BY ALL",
        )
        for name in RESULTS
    }


def test_law_a_run_from_the_middle_gives_the_results_that_were_there(ran, folder, capsys):
    line = acted(capsys, "run", "rate", folder / "c.yaml", "--from", MIDDLE)
    assert results(folder) == results(ran)
    written = int(line.split()[1])
    begun = line.split()[5]
    since = f"SELECT count(*) FROM anomaly_buckets WHERE timestamp >= '{begun}'"
    assert written == one(folder / "data", since) > 50
    assert begun <= MIDDLE


def test_a_run_from_before_the_first_snapshot_begins_anew_there(folder, capsys):
    line = acted(capsys, "run", "rate", folder / "c.yaml", "--from", START_MS + 3_700_000)
    assert line.endswith(" buckets written from 2026-01-05T01:00:00Z on")
    began = START_MS + 3_600_000
    said = "epoch_ms(min(timestamp)), epoch_ms(max(timestamp)), sum(event_count)"
    closed = "FROM anomaly_buckets WHERE NOT is_interim"
    first, last, events_then = rows(
        folder / "data", f"SELECT {said} {closed} AND epoch_ms(timestamp) >= {began}"
    )[0]
    assert first == began
    assert one(folder / "data", f"SELECT epoch_ms(min(timestamp)) {closed}") == START_MS
    within = f"epoch_ms(event_time) >= {first} AND epoch_ms(event_time) < {last + 900_000}"
    assert events_then == one(folder / "data", f"SELECT count(*) FROM events WHERE {within}")


def test_law_after_a_reset_the_next_start_finds_all_anew(ran, folder, capsys):
    buckets = one(folder / "data", "SELECT count(*) FROM anomaly_buckets")
    assert acted(capsys, "reset", "rate", "--data", folder / "data") == (
        f"rate: reset; {buckets} buckets forgotten"
    )
    assert one(folder / "data", "SELECT count(*) FROM anomaly_buckets") == 0
    done("run", folder / "c.yaml")
    assert results(folder) == results(ran)


def test_a_job_is_reverted_to_a_snapshot_with_or_without_its_results(ran, folder, capsys):
    data = folder / "data"
    known = rows(
        data, "SELECT snapshot_id, next_timestamp FROM anomaly_snapshots ORDER BY timestamp"
    )
    assert len(known) > 2
    snapshot, after = known[1]
    before = results(folder)
    line = acted(capsys, "revert", "rate", snapshot, "--data", data)
    assert line == f"rate: reverted to {snapshot}"
    assert results(folder) == before
    line = acted(capsys, "revert", "rate", snapshot, "--delete-results", "--data", data)
    assert line.endswith("buckets deleted")
    assert one(data, "SELECT max(timestamp) FROM anomaly_buckets") < after
    done("run", folder / "c.yaml")
    assert results(folder) == results(ran)


def test_a_snapshot_is_kept_and_let_go(folder, capsys):
    data = folder / "data"
    (snapshot,) = rows(data, "SELECT snapshot_id FROM anomaly_snapshots ORDER BY ALL LIMIT 1")[0]
    kept = f"SELECT retain FROM anomaly_snapshots WHERE snapshot_id = '{snapshot}'"
    for more, is_kept in (((), True), (("--off",), False)):
        acted(capsys, "retain", "rate", snapshot, *more, "--data", data)
        assert one(data, kept) is is_kept


def test_a_forecast_has_every_series_and_bucket_ahead_and_changes_nothing(folder, capfdbinary):
    before = relations(folder / "data")
    words = ["anomaly", "forecast", "rate", str(folder / "c.yaml"), "--format", "ndjson"]
    assert main([*words, "--duration", "2h"]) == 0
    found = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    last = one(folder / "data", "SELECT max(timestamp) FROM anomaly_buckets WHERE NOT is_interim")
    assert min(each["timestamp"] for each in found)[:19] > last.isoformat()
    assert len(found) == 8 * 3
    assert {each["partition"] for each in found} == {None, "Oslo", "Rome"}
    assert all(each["lower"] <= each["typical"] <= each["upper"] for each in found)
    assert main([*words, "--series", "Oslo", "--duration", "15m"]) == 0
    (only,) = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert (only["detector_index"], only["partition"]) == (1, "Oslo")
    assert relations(folder / "data") == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("reset x --data DATA", "got x; there are: rate"),
        ("revert rate nothing --data DATA", "`SNAPSHOT` must be one of rate, got nothing;"),
        ("retain rate nothing --data DATA", "`SNAPSHOT` must be one of rate, got nothing;"),
        ("run x CONFIG --from 0", "anomaly job of the configuration, got x; there are: rate"),
        ("run rate --from 0", "anomaly job of the configuration, got rate; there is none"),
        ("forecast x CONFIG", "anomaly job of the configuration, got x; there are: rate"),
        ("forecast rate CONFIG --series Bonn", "got Bonn; there are: Oslo, Rome"),
        ("run rate CONFIG --from 0 --data NOWHERE", "where there is none"),
    ],
)  # fmt: skip
def test_error_is_told_and_changes_nothing(ran, capsys, words, text):
    before = results(ran)
    names = {"DATA": ran / "data", "CONFIG": ran / "c.yaml", "NOWHERE": ran / "n"}
    assert main(["anomaly", *(str(names.get(word, word)) for word in words.split())]) == 2
    assert text in capsys.readouterr().err
    assert results(ran) == before
    assert not (ran / "n").exists()


def test_error_while_a_worker_runs_each_says_who_has_the_folder_with_code_1(folder):
    data = folder / "data"
    before = results(folder)
    with running("run", "--source", "-", "--data", data) as process:
        eventually(lambda: owned(data))
        for words in (
            ("reset", "rate", "--data", data),
            ("run", "rate", folder / "c.yaml", "--from", MIDDLE),
            ("forecast", "rate", folder / "c.yaml"),
        ):
            ended = bellwether("anomaly", *words)
            assert ended.returncode == 1, words
            (line,) = ended.stderr.decode().splitlines()
            assert f"must be free, got locked by process {process.pid} on " in line
        process.stdin.close()
        assert process.wait(20) == 0
    assert results(folder) == before
