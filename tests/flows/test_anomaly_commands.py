"""The commands about anomaly jobs as a user meets them: real processes, text and exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest
from anomaly_results import Results, shop
from commands import bellwether, eventually, owned, running

from flows.__main__ import main


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    shop(folder)
    with Results(folder, "it's") as results:
        results.declare(status="waiting")
        results.store.cursor.execute(
            "INSERT INTO model_snapshots BY NAME SELECT job AS job_id, 's' || n AS snapshot_id,"
            " make_timestamp(n * 1000000) AS timestamp, 'of ' || n AS description,"
            " n = 2 AS retain, 10 * n AS size, 1 AS version, n AS next_start_s, 0 AS arrays"
            " FROM range(1, 3) AS r(n), (VALUES ('it''s'), ('requests')) AS j(job)"
            " ORDER BY job, n DESC"
        )
    return folder


def told(capsys, *words, code=0):
    assert main(["anomaly", *map(str, words)]) == code
    return capsys.readouterr()


# ---- lists -----------------------------------------------------------------------------------


def test_golden_jobs_are_listed_with_states_and_counters(data, capfdbinary):
    assert main(["anomaly", "jobs", "--data", str(data)]) == 0
    head, _, *lines = capfdbinary.readouterr().out.decode().splitlines()
    names = "job_id status bucket_span buckets empty processed late missing_field latest_record"
    assert head.split() == [*names.split(), "series", "unmodelled", "memory_bytes"]
    wanted = ["900", "99", "1", "1234", "5", "0", "NULL", "1", "0", "512"]
    assert [line.split() for line in lines] == [
        ["it's", "waiting", *wanted],
        ["requests", "running", *wanted],
    ]


def test_golden_snapshots_of_one_job_are_listed_in_order_of_time(data, capfdbinary):
    assert main(["anomaly", "snapshots", "it's", "--data", str(data)]) == 0
    head, _, *lines = capfdbinary.readouterr().out.decode().splitlines()
    assert head.split()[:4] == ["snapshot_id", "timestamp", "next_timestamp", "retain"]
    assert [line.split()[0] for line in lines] == ["s1", "s2"]
    assert ["false" in line for line in lines] == [True, False]


# ---- faults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["draw"], "invalid choice: 'draw'"),
        (["plot"], "the following arguments are required: JOB"),
        (["plot", "x"], "anomaly job of DATA, got x; there are: it's, requests"),
        (["plot", "x'; DROP"], "got x'; DROP; there are: it's, requests"),
        (["plot", "a\udcff"], "`JOB` must be UTF-8, got 'a\\udcff'"),
        (["plot", "it's"], "`JOB` must have results, got it's, which has no bucket yet"),
        (["plot", "requests", "--output", "a.gif"], "ends in .png or .svg, got a.gif"),
        (["plot", "requests", "--output", ""], "ends in .png or .svg, got "),
        (["plot", "requests", "--output", "no/where.png"], "must be a file that can be written"),
        (["plot", "requests", "--threshold", "nan"], "must be from 0 to 100, got nan"),
        (["plot", "requests", "--threshold", "101"], "must be from 0 to 100, got 101"),
        (["plot", "requests", "--from", "soon"], "`--from` must be a time of the years 1 to 9999"),
        (["plot", "requests", "--to", "1e99"], "`--to` must be a time of the years 1 to 9999"),
        (
            ["plot", "requests", "--from", "2027-01-01"],
            "whose buckets reach from 2026-01-05T00:00:00Z",
        ),
        (["plot", "requests", "--to", "2026-01-05"], "to 2026-01-15T00:00:00Z, got none"),
        (["plot", "requests", "--from", "2026-01-06", "--to", "2026-01-05"], "got none"),
        (["plot", "requests", "--detector", "7"], "got detector 7; there are: detector 0"),
        (["plot", "requests", "--series", "x'"], 'got series "x\'"; there are: detector 0'),
        (["snapshots", "x"], "got x; there are: it's, requests"),
        (["run", "requests"], "the following arguments are required: --from"),
        (["run", "requests", "--from", "then"], "`--from` must be a time"),
        (["forecast", "requests", "--duration", "0s"], "must be a duration from 1s to 3650d"),
        (["forecast", "requests", "--duration", "long"], "must be a duration from 1s to 3650d"),
    ],
)
def test_error_is_told_in_one_message_with_code_2(data, capsys, words, text):
    more = [] if not words or words[0] == "draw" else ["--data", str(data)]
    found = told(capsys, *words, *more, code=2)
    assert text.replace("DATA", str(data)) in found.err
    assert found.out == ""
    assert all(line.startswith("bellwether: ") for line in found.err.splitlines())


@pytest.mark.parametrize("command", ["jobs", "plot", "snapshots"])
def test_error_without_a_folder(tmp_path, capsys, command):
    job = [] if command == "jobs" else ["x"]
    assert (
        "where there is none" in told(capsys, command, *job, "--data", tmp_path / "n", code=2).err
    )
    assert not (tmp_path / "n").exists()


def test_error_without_matplotlib_says_what_to_install(data):
    hidden = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from flows.__main__ import main\n"
        f"sys.exit(main(['anomaly', 'plot', 'requests', '--data', {str(data)!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", hidden], capture_output=True, check=False)
    assert ended.returncode == 2
    (line,) = ended.stderr.decode().splitlines()
    assert "matplotlib, which is not installed" in line
    assert line.endswith("pip install 'matplotlib>=3.9,<4'")


# ---- while a run goes on ---------------------------------------------------------------------


def test_the_running_owner_is_asked_and_keeps_its_lock(tmp_path):
    folder = tmp_path / "data"
    shop(folder)
    with running("run", "--source", "-", "--data", folder, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: owned(folder))
        words = ("anomaly", "plot", "requests", "--data", folder, "--output", tmp_path / "a.svg")
        ended = bellwether(*words)
        assert ended.returncode == 0, ended.stderr
        listed = bellwether("anomaly", "snapshots", "requests", "--data", folder)
        assert listed.returncode == 0, listed.stderr
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(20) == 0
    assert b"Anomaly job requests" in (tmp_path / "a.svg").read_bytes()


# ---- the words and the README ----------------------------------------------------------------


def test_the_readme_names_every_command(capsys):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    listed = told(capsys, "--help").out.split("COMMAND\n", 1)[1].splitlines()
    names = [line.split()[0] for line in listed if line.startswith("    ") and line[4:5].isalpha()]
    assert len(names) == 8
    assert [name for name in names if f"bellwether anomaly {name}" not in readme] == []
