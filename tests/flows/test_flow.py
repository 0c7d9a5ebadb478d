"""The flow under Bytewax's own runner: the same tables, on one worker or two."""

import subprocess
import sys

import pytest
from commands import assert_same, bellwether, done, encoded, lawful, prediction, relations, vote


@pytest.fixture
def config(tmp_path):
    def write(name):
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            f"data: {tmp_path}/{name}\nsources: [{{name: s, files: '{tmp_path}/*.ndjson'}}]\n"
        )
        return path

    for part in range(2):
        events = [prediction(n, label="ab"[n % 3 == 0]) for n in range(part, 5000, 2)]
        votes = [vote(n, "b", by="ana") for n in range(0, 5000, 17)]
        (tmp_path / f"{part}.ndjson").write_bytes(encoded(events) + encoded(votes) + b"{}\n")
    return write


def bytewax(config, *words):
    flow = f"flows.monitor:flow('{config}')"
    return subprocess.run(
        [sys.executable, "-m", "bytewax.run", flow, *words],
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("words", [(), ("-w", "2")])
def test_golden_bytewax_runs_it_to_the_same_tables(tmp_path, config, words):
    ended = bytewax(config("bytewax"), *words)
    assert ended.returncode == 0, ended.stderr.decode()
    done("run", config("ours"))
    assert_same(lawful(tmp_path / "bytewax"), lawful(tmp_path / "ours"))
    for name in ("progress", "rejects", "votes", "models"):
        assert relations(tmp_path / "bytewax", [name]) == relations(tmp_path / "ours", [name])
    assert not (tmp_path / "bytewax" / "lock").read_bytes(), "the folder is let go"


def test_error_a_fault_of_an_input_leaves_the_flow_as_an_exception(tmp_path, config):
    path = config("bytewax")
    (tmp_path / "0.ndjson").write_bytes(b"")
    (tmp_path / "1.ndjson").unlink()
    (tmp_path / "0.ndjson").rename(tmp_path / "gone")
    ended = bytewax(path)
    assert ended.returncode != 0
    assert b"`files` must match at least one file" in ended.stderr
    assert bellwether("sql", "select 1", "--data", tmp_path / "bytewax").returncode == 0
