"""Killed while it makes its store, a run can be started again: nothing was stored, nothing is lost.

DuckDB writes the headers of a new file one after the other; a run that was killed between them left
a file that nobody could open.
"""

import subprocess

import pytest
from commands import COMMAND, encoded, one, prediction
from crash_writes import Blow, library, watched


@pytest.mark.skipif(library() is None, reason="there is no C compiler")
@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_fault_a_store_is_made_whole_or_not_at_all(tmp_path, number, torn):
    data, source = tmp_path / "data", tmp_path / "a.ndjson"
    source.write_bytes(encoded(map(prediction, range(3))))
    words = [*COMMAND, "run", "--source", str(source), "--data", str(data)]
    calls = ("write",) if torn else ("write", "rename")
    blow = Blow(("database", "other"), calls, number, torn)
    killed = subprocess.run(
        words, env=watched(data, tmp_path / "told", blow), capture_output=True, check=False
    )
    assert killed.returncode == -9
    again = subprocess.run(words, capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    assert one(data, "SELECT count(*) FROM events") == (3,)
    assert not (data / "bellwether.duckdb.begun").exists()
