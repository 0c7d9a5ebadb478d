"""The commands as a user meets them: words in, text and exit codes out."""

import json
import os
import pty
import signal
import subprocess
import sys
import time

import duckdb
import pytest

from flows.__main__ import main

COMMAND = [sys.executable, "-m", "flows"]


@pytest.fixture
def data(tmp_path):
    with duckdb.connect(str(tmp_path / "bellwether.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT range i, 'x' || range s FROM range(5)")
    (tmp_path / "lock").touch()
    return str(tmp_path)


def run(*words, stdin=b""):
    return subprocess.run(
        [*COMMAND, *words], input=stdin, capture_output=True, check=False, timeout=60
    )


def on_terminal(*words):
    """Run with a terminal for all three; give exit code and what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed: Linux says EIO
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(60), shown.decode()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["nothing"], "invalid choice: 'nothing'"),
        (["sql"], "the following arguments are required: SQL"),
        (["sql", "select 1", "--forma", "csv"], "unrecognized arguments: --forma"),
        (["sql", "select 1", "--format", "xml"], "invalid choice: 'xml'"),
        (["sql", "select 1", "--limit-seconds", "soon"], "invalid float value: 'soon'"),
        (["sql", "select 1", "--limit-seconds", "0"], "`limit_seconds` must be above 0"),
        (["sql", "select 1", "--data", "nowhere"], "got nowhere, where there is none"),
        (
            ["run", "--source", "kafka://a/b?"],
            '`--source` must be kafka://host:port/topic, got "kafka',
        ),
        (["run", "--source", "-", "--follow"], "`--follow` must go with files"),
        (["run", "--follow"], "`--follow` must go with files"),
        (["run", "nowhere.yaml"], "the configuration must be a readable file"),
        (["check"], "the following arguments are required: CONFIG"),
    ],
)
def test_error_usage_is_told_in_lines_of_ours_with_code_2(capsys, words, text):
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert text in told.err
    assert all(line.startswith("bellwether: ") for line in told.err.splitlines())


def test_help_and_version(capsys):
    assert main(["--help"]) == 0
    assert "Watches models" in capsys.readouterr().out
    for command in ("run", "sql", "check", "demo"):
        assert main([command, "--help"]) == 0
        assert "usage: bellwether" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "bellwether 0.1.0\n"


def test_golden_check(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("models: [{id: triage}]\n")
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == (
        f"ok: {path}: stdin: standard input -> ./data; models triage, further ones are learned"
        " from the events; windows of 300 s every 60 s\n"
    )
    path.write_text("models: [{id: triage, threshold: high}]\nrules: 1\n")
    assert main(["check", str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        f'{path}:1: models[0].threshold must be a number from 0 to 1, got "high"',
        f'{path}:2: `rules` is not a known key; did you mean "alert_rules"?',
    ]


def test_golden_sql_formats(data, tmp_path):
    sql = "FROM t WHERE i < 2 ORDER BY i"
    assert run("sql", sql, "--data", data).stdout == b"i  s\n-  --\n0  x0\n1  x1\n"
    assert run("sql", sql, "--data", data, "--format", "csv").stdout == b"i,s\r\n0,x0\r\n1,x1\r\n"
    from_stdin = run("sql", "-", "--data", data, "--format", "ndjson", stdin=sql.encode())
    assert from_stdin.stdout == b'{"i": 0, "s": "x0"}\n{"i": 1, "s": "x1"}\n'
    out = tmp_path / "out.json"
    done = run("sql", sql, "--data", data, "--output", str(out))
    assert (done.returncode, done.stdout) == (0, b"")
    assert json.loads(out.read_text()) == [{"i": 0, "s": "x0"}, {"i": 1, "s": "x1"}]
    assert run("sql", sql, "--data", data, "--format", "parquet").stdout[:4] == b"PAR1"


def test_error_sql_faults_are_one_line_and_code_2(data, tmp_path):
    out = tmp_path / "kept.csv"
    out.write_text("before")
    failed = run("sql", "FROM nowhere", "--data", data, "--output", str(out))
    assert failed.returncode == 2
    assert failed.stderr.startswith(b"bellwether: Catalog Error: Table with name nowhere")
    assert failed.stderr.count(b"\n") == 1
    assert out.read_text() == "before"
    failed = run("sql", "SELECT 1", "--data", data, "--output", str(tmp_path / "no" / "x.csv"))
    assert (failed.returncode, failed.stderr.count(b"\n")) == (2, 1)
    failed = run("sql", "-", "--data", data, stdin=b"\xff")
    assert b"must be UTF-8, got the byte 0xff" in failed.stderr


def test_fault_a_full_disk_is_told_with_code_1(data):
    failed = run("sql", "SELECT 1", "--data", data, "--output", "/dev/full")
    assert failed.returncode == 1
    assert failed.stderr == b"bellwether: the answer cannot be written: No space left on device\n"


def test_a_reader_that_has_enough_is_no_fault(data):
    words = [*COMMAND, "sql", "FROM range(300000)", "--data", data]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


def test_a_terminal_is_told_the_number_of_rows_and_gets_no_parquet(data):
    code, shown = on_terminal("sql", "FROM t", "--data", data)
    assert code == 0
    assert "(5 rows)" in shown
    code, shown = on_terminal("sql", "FROM t", "--data", data, "--format", "parquet")
    assert code == 2
    assert "must go to a file (--output) or a pipe, got a terminal" in shown


def test_error_run_on_a_terminal_without_a_source_says_what_to_do():
    code, shown = on_terminal("run")
    assert code == 2
    assert "zcat events.ndjson.gz | bellwether run" in shown


def test_sql_and_check_load_no_dataflow(data, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data: x\n")
    for words in (["sql", "SELECT 1", "--data", data], ["check", str(path)]):
        code = (
            "import sys; from flows.__main__ import main; assert main(sys.argv[1:]) == 0;"
            "print([name for name in ('bytewax', 'river', 'numpy.random') if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, check=True, timeout=60
        )
        assert done.stdout.splitlines()[-1] == b"[]"


def test_ctrl_c_ends_a_query_quietly(data):
    words = [*COMMAND, "sql", "SELECT pg_sleep(30)", "--data", data]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(1.5)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT  # a shell says 130
        assert time.monotonic() - started < 5
        assert process.stderr.read() == b""
