"""Exports: every relation as it is at one commit, from an owner, the file and the published copy.

What is read back must equal what `bellwether sql` tells; a folder is there whole or not at all.
"""

import json
import threading

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import PUBLIC
from damages import command
from serving import serving

from connectors.parquetfolder import GROUP_ROWS, write_folder
from connectors.relationwire import Relation
from engine.errors import StoreError

CONFIG = """\
data: data
sources: [{name: s, files: ["a.ndjson"]}]
publish: {every: 1h}
models: [{id: m, job: soc}]
anomaly_jobs: [{job_id: j, model: m, bucket_span: 15m, detectors: [{function: count}]}]
"""
LINES = [
    {
        "model_id": "m",
        "id": f"e{n}",
        "timestamp": 1_700_000_000_123 + n * 30_000,
        "prediction": "ab"[n % 2],
        "label": "a",
        "score": n % 9 / 10,
        "features": {"city": "Oslo"},
    }
    for n in range(200)
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = tmp_path_factory.mktemp("exported")
    (home / "config.yaml").write_text(CONFIG)
    (home / "a.ndjson").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return home


@pytest.fixture
def home(made, capsys):
    if not (made / "data").exists():
        code, _, told = command(capsys, made, "run", "config.yaml")
        assert code == 0, told
    return made


def rows_of(table):
    return sorted(map(repr, table.to_pylist()))


def test_oracle_each_file_holds_its_relation_with_its_types(home, tmp_path, capsys):
    code, out, told = command(capsys, home, "export", "--parquet", tmp_path / "out")
    assert (code, out) == (0, ""), told
    assert f"{len(PUBLIC)} relations, " in told
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(PUBLIC)
    with duckdb.connect(str(home / "data" / "bellwether.duckdb"), read_only=True) as store:
        for name in PUBLIC:
            table = pq.read_table(tmp_path / "out" / f"{name}.parquet")
            wanted = store.sql(f'FROM "{name}"').to_arrow_table()
            assert table.column_names == wanted.column_names
            plain = [f.name for f in wanted.schema if f.type != pa.month_day_nano_interval()]
            assert table.select(plain).schema.types == wanted.select(plain).schema.types
            assert rows_of(table.select(plain)) == rows_of(wanted.select(plain)), name
    events = pq.read_table(tmp_path / "out" / "events.parquet")
    assert events.schema.field("event_time").type == pa.timestamp("us")
    assert events.schema.field("properties").type == pa.string()
    (row,) = pq.read_table(tmp_path / "out" / "models.parquet").to_pylist()
    assert row["lookback"].total_seconds() == 300
    meta = pq.ParquetFile(tmp_path / "out" / "events.parquet").metadata
    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_only_some_relations_and_the_published_copy(home, tmp_path, capsys):
    words = ["export", "--parquet", tmp_path / "out", "--relations", "events, progress"]
    code, _, told = command(capsys, home, *words, "--published")
    assert code == 0, told
    assert "published.duckdb -> " in told
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "events.parquet",
        "progress.parquet",
    ]
    assert pq.read_table(tmp_path / "out" / "events.parquet").num_rows == 200


def test_law_all_relations_of_a_running_owner_are_of_one_commit(tmp_path, capsys):
    with serving(tmp_path) as served:
        done = threading.Event()

        def post():
            n = 0
            while not done.is_set():
                served.post_events(
                    {
                        "model_id": "m",
                        "id": f"{n}-{k}",
                        "timestamp": 1_700_000_000_000 + n * 1000,
                        "prediction": "a",
                        "label": "b",
                    }
                    for k in range(20)
                )
                n += 1

        writer = threading.Thread(target=post)
        writer.start()
        try:
            for n in range(2):
                out = tmp_path / f"out{n}"
                code, _, told = command(
                    capsys,
                    tmp_path,
                    "export",
                    "--parquet",
                    out,
                    "--data",
                    served.session.settings.data,
                )
                assert code == 0, told
                events = pq.read_table(out / "events.parquet").num_rows
                progress = pq.read_table(out / "progress.parquet")
                matrix = pq.read_table(out / "confusion_matrix.parquet").to_pylist()
                assert sum(progress["events"].to_pylist()) == events
                assert sum(r["count"] for r in matrix if r["time_basis"] == "event") == events
        finally:
            done.set()
            writer.join()


def test_error_words(home, tmp_path, capsys):
    for words, told in (
        (["--parquet", tmp_path / "x", "--relations", "events,evnts"], "got 'evnts'"),
        (["--parquet", home / "config.yaml"], "must be a folder"),
        (["--parquet", home], "must hold nothing but an earlier export"),
        (["--parquet", home, "--overwrite"], "must hold nothing but an earlier export"),
        (["--parquet", tmp_path / "x", "--data", "absent"], "must be a data folder"),
        (["--parquet", tmp_path / "x", "--limit-seconds", "0"], "must be above 0"),
    ):
        code, _, said = command(capsys, home, "export", *words)
        assert code == 2
        assert told in said
    assert not (tmp_path / "x").exists()
    assert (home / "a.ndjson").exists()


def test_an_earlier_export_is_replaced_only_when_told(home, tmp_path, capsys):
    words = ["export", "--parquet", tmp_path / "out", "--relations"]
    assert command(capsys, home, *words, "events")[0] == 0
    code, _, told = command(capsys, home, *words, "rejects")
    assert code == 2
    assert "--overwrite" in told
    assert command(capsys, home, *words, "rejects", "--overwrite")[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rejects.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def relation(batches):
    schema = pa.schema([("i", pa.int64())])
    return Relation("events", schema, iter(batches))


def test_large_relations_are_written_in_groups(tmp_path):
    batch = pa.record_batch({"i": pa.array(range(GROUP_ROWS // 2 + 1), pa.int64())})
    done = write_folder(tmp_path / "out", [relation([batch] * 5)])
    meta = pq.ParquetFile(tmp_path / "out" / "events.parquet").metadata
    assert done.rows == {"events": 5 * batch.num_rows} == {"events": meta.num_rows}
    assert meta.num_row_groups >= 3


def test_fault_what_ends_midway_leaves_nothing(tmp_path):
    def broken():
        yield pa.record_batch({"i": pa.array([1], pa.int64())})
        msg = "gone"
        raise ConnectionError(msg)

    with pytest.raises(ConnectionError):
        write_folder(tmp_path / "out", [relation(broken())])
    assert not list(tmp_path.iterdir())


def test_error_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_folder(tmp_path / "file" / "out", [])
