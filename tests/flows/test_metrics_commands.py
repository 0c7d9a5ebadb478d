"""The commands about metrics as a user meets them: real processes, text, JSON and exit codes."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from commands import (
    START_MS,
    done,
    encoded,
    eventually,
    owned,
    prediction,
    running,
    vote,
)

from connectors.sqlclient import call
from engine.errors import ConfigurationError, StoreError
from flows.__main__ import main

HOSTILE = "it's \"; DROP \x1b[31m\u202e"
HOUR_MS = 3_600_000

CONFIG = """
users: [{username: root, role: administrator}]
models: [{id: m, job: soc, classes: [a, b], minutes_per_event: 2}]
"""


def deployed(status, at_ms):
    return {"type": "model", "model_id": "m", "status": status, "timestamp": at_ms}


def events():
    """Forty decisions, a label for each fourth of them, one deployment; steps, runs, ingests."""
    found = [prediction(n, features={"city": "AB"[n % 4 == 0], "n": n}) for n in range(40)]
    found += [vote(n, "a", by="ana") for n in range(0, 40, 4)]
    found += [
        {"type": "model", "model_id": "m", "status": "deployed", "timestamp": START_MS + 20_000}
    ]
    found += [prediction(99, job_id=HOSTILE, model_id="other")]
    values = [0.5, "nan", "inf", 0.25]
    for job, name in (("train", "loss"), ("train", HOSTILE), ("7", "loss")):
        found += [
            {
                "type": "metric",
                "job_id": job,
                "name": name,
                "value": value,
                "step": step,
                "experiment_id": "e",
                "timestamp": START_MS + step * 1000,
            }
            for step, value in enumerate(values)
        ]
    found += [
        {
            "type": "run",
            "id": f"r{n}",
            "job_type": ["parse", HOSTILE][n % 2],
            "version": "1",
            "status": ["completed", "failed"][n % 3 == 0],
            "timestamp": START_MS + n * HOUR_MS // 2,
            "run_time": n / 4,
        }
        for n in range(8)
    ]
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "c.yaml").write_text(CONFIG)
    words = ("run", folder / "c.yaml", "--source", "-", "--data", folder / "data")
    done(*words, stdin=encoded(events()))
    return folder / "data"


def told(capfd, data, *words, code=0):
    assert main(["metrics", *map(str, words), "--data", str(data)]) == code
    return capfd.readouterr()


def answer(capfd, data, *words):
    return json.loads(told(capfd, data, *words, "--format", "json").out)


# ---- jobs ------------------------------------------------------------------------------------


def test_golden_a_job_as_json_is_the_contracts_answer(data, capfd):
    found = answer(capfd, data, "job", "soc")
    assert found == {**call(str(data), "job_and_latest_model", {"job_id": "soc"}), **_clock(found)}
    job, model = found["job_metrics"], found["model_metrics"]
    assert job["confusion_matrix"] == [[20, 0], [0, 20]]
    assert (job["labels"], job["total_events"], job["labelled_events"]) == (["a", "b"], 40, 10)
    assert job["time_saved_minutes"] == 80
    assert found["model_id"] == job["active_model_id"] == model["model_id"] == "m"
    assert model["events_in_kb"] == job["total_events_in_knowledge_base"] == 6
    assert not model["is_recomputing_metrics"]


def _clock(found):
    """What the wall clock decides: the time of a computation."""
    names = ("model_metrics", "active_model_metrics")
    return {name: found[name] for name in names}


def test_golden_a_job_as_text_tells_matrices_rates_and_knowledge(data, capfd):
    text = told(capfd, data, "job", "soc").out
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for wanted in (
        "active model m",
        "all models 1: m",
        "events with a label 10",
        "events in the knowledge base 6",
        "time saved 80 minutes",
        "Decisions of the job: 40 events; one without a label counts as agreed with",
        "truth \\ prediction a b in all",
        "b 0 20 20",
        "a 1.0000 1.0000 1.0000 20 20 0 0",
        "The 10 labelled events alone",
        "knowledge base events event buckets",
        "in all 6 6",
    ):
        assert wanted in lines, text
    assert "Model m" not in told(capfd, data, "job", "soc", "--job-only").out


def test_filters_range_and_top_reach_the_query(data, capfd):
    def total(*words):
        return answer(capfd, data, "job", "soc", *words)["job_metrics"]["total_events"]

    assert total("--filter", "features.city is B") == 10
    assert total("--filter", "features.city is B", "--filter", "features.n lt 20") == 5
    assert total("--filter", "event_id is one of e1, e2,e3") == 3
    assert total("--filter", 'event_id is one of ["e1", "e2"]') == 2
    assert total("--filter", "label not exists") == 30
    assert total("--filter", '{"field": "features.n", "operator": "gte", "value": 38}') == 2
    assert total("--from", START_MS, "--to", START_MS + 10_000) == 10
    assert total("--from", "2023-11-14T22:14:10Z") == 30


def test_names_of_jobs_are_data(data, capfd):
    found = answer(capfd, data, "job", HOSTILE, "--job-only")
    assert (found["job_id"], found["total_events"]) == (HOSTILE, 1)
    text = told(capfd, data, "job", HOSTILE, "--job-only").out
    assert "\x1b" not in text
    assert "\u202e" not in text


# ---- steps -----------------------------------------------------------------------------------


def test_golden_steps_latest_history_and_experiment(data, capfd):
    latest = answer(capfd, data, "steps", "train")
    assert latest == [{"name": HOSTILE, "value": 0.25}, {"name": "loss", "value": 0.25}]
    page = answer(capfd, data, "steps", "train", "loss", "--page-length", "2", "--index", "1")
    assert [each["value"] for each in page["data"]] == ["inf", 0.25]
    assert (page["totalNumResults"], page["isComplete"]) == (4, True)
    assert page["prev"] == "/api/v1/jobs/train/metrics/loss/snapshots?index=0&pageLength=2"
    jobs = answer(capfd, data, "steps", "--experiment", "e", "--sort-by", "id")["data"]
    assert [job["id"] for job in jobs] == [7, "train"]
    found = answer(capfd, data, "steps", "--experiment", "e", "--search", "job:7")
    assert [job["id"] for job in found["data"]] == [7]


def test_golden_steps_as_tables_say_how_to_go_on(data, capfd):
    shown = told(capfd, data, "steps", "train", "loss", "--page-length", "3")
    head, _, *lines = shown.out.splitlines()
    assert head.split() == ["step", "value", "timestamp"]
    assert [line.split()[:2] for line in lines] == [["0", "0.5"], ["1", "nan"], ["2", "inf"]]
    assert shown.err == "note: 3 of 4; go on with --index 1\n"
    by_job = told(capfd, data, "steps", "--experiment", "e").out.splitlines()
    assert by_job[0].split() == ["job", "name", "value"]
    assert len(by_job) == 5
    assert "\x1b" not in "".join(by_job)


# ---- plots -----------------------------------------------------------------------------------


def test_golden_catalogues_details_and_series(data, capfd):
    listed = answer(capfd, data, "plot", "--list")
    assert {"job-types", "ingests", "errors"} <= {each["name"] for each in listed["results"]}
    assert (listed["next"], listed["previous"]) == (None, None)
    second = answer(capfd, data, "plot", "--list", "--page", "2", "--page-size", "2")
    assert second["previous"] == "/v6/metrics/?page=1&page_size=2"
    details = answer(capfd, data, "plot", "job-types", "--details")
    assert {each["name"] for each in details["choices"]} == {"parse", HOSTILE}
    words = ("--column", "total_count", "--column", "run_time_avg")
    found = answer(capfd, data, "plot", "job-types", *words)
    counts, means = ([each["value"] for each in one["values"]] for one in found["results"])
    assert (sum(counts), len(counts), found["count"]) == (8, len(means), 2)


def test_golden_a_series_as_rows_for_each_choice(data, capfd):
    words = ("plot", "job-types", "--column", "total_count", "--column", "failed_count")
    found = told(capfd, data, *words, "--choice", "parse", "--choice", HOSTILE, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert list(rows[0]) == ["time", "choice", "total_count", "failed_count"]
    assert {row["choice"] for row in rows} == {"parse, 1", f"{HOSTILE}, 1"}
    assert sum(int(row["total_count"]) for row in rows) == 8
    details = answer(capfd, data, "plot", "job-types", "--details")["choices"]
    number = next(str(each["id"]) for each in details if each["name"] == "parse")
    table = told(capfd, data, *words, "--choice", number).out.splitlines()
    assert table[0].split() == ["time", "choice", "total_count", "failed_count"]
    assert sum(int(line.split()[-2]) for line in table[2:]) == 4


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_series_is_drawn_the_same_each_time(data, tmp_path, capfd, suffix):
    words = ("plot", "job-types", "--group", "overview", "--choice", HOSTILE, "--output")
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        assert f"{path} written" in told(capfd, data, *words, path).err
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


# ---- faults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["draw"], "invalid choice: 'draw'"),
        (["job"], "the following arguments are required: JOB"),
        (["job", "x'; DROP"], "`JOB` must be a job with events, got x'; DROP; there are: it's"),
        (["job", "a\udcff"], "`JOB` must be UTF-8, got 'a\\udcff'"),
        (["job", "soc", "--from", "soon"], "`--from` must be a time of the years 1 to 9999"),
        (["job", "soc", "--filter", "bad"], "`--filter` must be FIELD OPERATOR VALUE"),
        (["job", "soc", "--filter", 'a is "b'], "must have JSON where it begins with a quote"),
        (["job", "soc", "--filter", "{1}"], "must have JSON where it begins with a quote"),
        (["job", "soc", "--filter", "a is"], "`filters[0].value` is missing"),
        (["job", "soc", "--filter", "a exists b"], "`filters[0].value` must be absent"),
        (["job", "soc", "--top", "0"], "`top` must be a whole number from 1 to 1000, got 0"),
        (["job", "soc", "--timeout-s", "-1"], "`--timeout-s` must be from 0 to 3570, got -1"),
        (["steps"], "must be given a JOB, or an experiment by --experiment"),
        (["steps", "none"], "`JOB` must have step metrics, got none, which has none"),
        (["steps", "train", "acc"], "`NAME` must be a step metric of job train, got acc"),
        (["steps", "train", "loss", "--index", "9"], "must be a page with entries of 4, got 9"),
        (["steps", "train", "loss", "--index", "-1"], "`index` must be a whole number from 0"),
        (["steps", "train", "--search", "x"], "`--search` must not be given with JOB without NAME"),
        (["steps", "train", "--experiment", "e"], "`JOB` must not be given with --experiment"),
        (["steps", "--experiment", "none"], "must have jobs with metrics, got none: none"),
        (["steps", "--experiment", "e", "--sort-by", "x"], "`sort_by` must be one of id,"),
        (["plot"], "must be given a CATALOGUE; --list lists them"),
        (["plot", "nowhere"], "step-metrics), got nowhere"),
        (["plot", "nowhere", "--details"], "step-metrics), got nowhere"),
        (["plot", "job-types", "--choice", "x"], "`--choice` must be id or name of a choice of"),
        (["plot", "job-types", "--column", "x"], "must be one of the columns of job-types, got x"),
        (["plot", "job-types", "--started", "x"], "`started` must be an ISO 8601 date"),
        (["plot", "--list", "--page", "0"], "`page` must be at least 1, got 0"),
        (["plot", "job-types", "--page", "9"], "`page` must be at most 1, got 9"),
        (["plot", "job-types", "--output", "a.gif"], "ends in .png or .svg, got a.gif"),
        (["plot", "job-types", "--output", "no/where.png"], "must be a file that can be written"),
    ],
)
def test_error_is_told_in_one_message_with_code_2(data, capfd, words, text):
    found = told(capfd, data, *words, code=2)
    assert text in found.err
    assert found.out == ""
    assert all(line.startswith("bellwether: ") for line in found.err.splitlines())


@pytest.mark.parametrize("words", [["job", "x"], ["steps", "x"], ["plot", "--list"]])
def test_error_without_a_folder(tmp_path, capfd, words):
    assert "where there is none" in told(capfd, tmp_path / "n", *words, code=2).err
    assert not (tmp_path / "n").exists()


def test_error_a_job_without_a_deployed_model_says_how_to_ask(data, tmp_path, capfd):
    shutil.copytree(data, tmp_path / "d")
    line = {"type": "model", "model_id": "m", "status": "retired", "timestamp": START_MS + 10**6}
    config = ("run", data.parent / "c.yaml", "--source", "-", "--data", tmp_path / "d")
    done(*config, stdin=encoded([line]))
    assert (
        "ask for the job alone by --job-only"
        in told(capfd, tmp_path / "d", "job", "soc", code=2).err
    )
    found = answer(capfd, tmp_path / "d", "job", "soc", "--job-only")
    assert (found["active_model_id"], found["total_events"]) == (None, 40)


@pytest.mark.parametrize(
    ("version", "kind", "text"),
    [
        ("3", ConfigurationError, "an older Bellwether wrote; `bellwether run` brings it up"),
        ("99", StoreError, "it was written by a newer Bellwether"),
        ("x", ConfigurationError, "an older Bellwether wrote"),
    ],
)
def test_error_a_folder_of_another_version_is_told(data, tmp_path, version, kind, text):
    shutil.copytree(data, tmp_path / "d")
    with duckdb.connect(str(tmp_path / "d" / "bellwether.duckdb")) as connection:
        connection.execute(f"UPDATE settings SET value = '{version}' WHERE name = 'schema_version'")
    with pytest.raises(kind, match=text):
        call(str(tmp_path / "d"), "plot_catalogues", {})


def test_error_without_matplotlib_says_what_to_install(data):
    hidden = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from flows.__main__ import main\n"
        "words = ['metrics', 'plot', 'job-types', '--output', 'a.png']\n"
        f"sys.exit(main([*words, '--data', {str(data)!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", hidden], capture_output=True, check=False)
    assert ended.returncode == 2
    (line,) = ended.stderr.decode().splitlines()
    assert line.endswith("pip install 'matplotlib>=3.9,<4'")


# ---- while a run goes on ---------------------------------------------------------------------


def test_oracle_the_owner_and_the_file_say_the_same(data, tmp_path, capfd):
    shutil.copytree(data, tmp_path / "d")
    asked = [
        ("job", "soc", "--job-only"),
        ("job", "soc", "--job-only", "--filter", "features.city is B"),
        ("job", "nowhere"),
        ("steps", "train"),
        ("steps", "train", "loss"),
        ("steps", "--experiment", "e"),
        ("plot", "--list"),
        ("plot", "job-types", "--ended", "2027-01-01"),
        ("plot", "nowhere"),
    ]

    def outcome(words):
        code = main(["metrics", *words, "--format", "json", "--data", str(tmp_path / "d")])
        return code, *capfd.readouterr()

    from_file = [outcome(words) for words in asked]
    config = ("run", data.parent / "c.yaml", "--source", "-", "--data", tmp_path / "d")
    with running(*config, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: owned(tmp_path / "d"))
        from_owner = [outcome(words) for words in asked]
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(20) == 0
    assert from_owner == from_file
    assert [code for code, _, _ in from_file] == [0, 0, 2, 0, 0, 0, 0, 0, 2]


def test_the_readme_names_every_command(capfd):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert main(["metrics", "--help"]) == 0
    listed = capfd.readouterr().out.split("COMMAND\n", 1)[1].splitlines()
    names = [line.split()[0] for line in listed if line.startswith("    ") and line[4:5].isalpha()]
    assert names == ["job", "steps", "plot"]
    assert [name for name in names if f"bellwether metrics {name}" not in readme] == []


def test_a_closed_pipe_ends_quietly(data):
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "flows", "metrics", "plot", "--list", "--data", str(data)]
    ended = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")
