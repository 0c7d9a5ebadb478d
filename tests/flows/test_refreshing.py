"""Metrics of models over a whole run: they follow the stream, are stored, and known at the next."""

import subprocess
import time

import duckdb
import pytest
from commands import START_MS, done, encoded, eventually, owned, prediction, running, vote
from commands import rows as stored

from connectors.sqlclient import call
from engine.jobs.model_metrics import ModelMetrics

CONFIG = "models: [{id: m, job: soc}]"


@pytest.fixture
def words(tmp_path):
    """The words of a run over a folder that has forty decisions and a deployment."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    words = ("run", tmp_path / "c.yaml", "--source", "-", "--data", tmp_path / "data")
    events = [prediction(n) for n in range(40)] + [vote(n, "a") for n in range(0, 40, 4)]
    deployed = {"type": "model", "model_id": "m", "status": "deployed"}
    done(*words, stdin=encoded([*events, {**deployed, "timestamp": START_MS + 20_000}]))
    return words


def both(words, timeout_s=20):
    arguments = {"job_id": "soc", "timeout_s": timeout_s}
    return call(str(words[-1]), "job_and_latest_model", arguments)


def total(answer):
    return answer["model_metrics"]["total_events"]


def computed(answer):
    return answer["model_metrics"]["last_recomputed_timestamp"]


def known(folder):
    return stored(folder, "SELECT job_id, model_id, computed_time, answer FROM model_metrics_log")


def test_contract_AC_47_AC_48_AC_57_the_owner_follows_the_stream_and_keeps_what_it_knew(words):
    folder = words[-1]
    with running(*words, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: owned(folder))
        first = both(words)
        assert (total(first), first["is_recomputing_metrics"]) == (40, False)
        process.stdin.write(encoded([prediction(50)]))
        process.stdin.flush()
        eventually(lambda: total(both(words)) == 41)
        times = [
            each["model_metrics"]["last_recomputed_timestamp"] for each in (first, both(words))
        ]
        assert times[0] < times[1]
        time.sleep(1.2)  # time enough to commit it while nothing comes
        process.kill()
    ((job, model, _, text),) = known(folder)
    assert (job, model, ModelMetrics.from_json(text).decided.total_events) == ("soc", "m", 41)
    with running(*words, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: owned(folder))
        assert total(both(words, timeout_s=0)) == 41
        process.stdin.close()
        assert process.wait(20) == 0


def test_contract_AC_01_02_04_one_call_tells_of_both_and_stores_what_it_computed(words):
    folder = words[-1]
    with running(*words, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: owned(folder))
        answer = call(str(folder), "job_and_latest_model", {"job_id": "soc"})  # an empty body
        process.stdin.close()
        assert process.wait(20) == 0
    assert answer["job_metrics"]["total_events"] == total(answer) == 40
    assert [row[:2] for row in known(folder)] == [("soc", "m")]


def test_contract_AC_58_the_siblings_tell_of_the_job_alone_and_of_the_model_alone(words):
    folder = words[-1]
    with running(*words, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: owned(folder))
        answer = both(words)
        job, model = (call(str(folder), name, {"job_id": "soc"}) for name in ("job", "model"))
        process.stdin.close()
        assert process.wait(20) == 0
    assert answer["job_metrics"].items() <= job.items()
    # Nothing was committed in between: only the time until which it is known to hold is another.
    times = [each.pop("last_recomputed_timestamp") for each in (answer["model_metrics"], model)]
    assert times[0] <= times[1]
    assert answer["model_metrics"] == model


def test_without_an_owner_it_is_computed_at_once_and_nothing_is_stored(words):
    answer = both(words, timeout_s=0)
    assert (total(answer), answer["is_recomputing_metrics"]) == (40, False)
    assert known(words[-1]) == []


def test_error_what_another_version_has_stored_is_as_if_it_were_not_there(words):
    folder = words[-1]
    with duckdb.connect(str(folder / "bellwether.duckdb")) as connection:
        connection.execute(
            """INSERT INTO model_metrics_log VALUES ('soc', 'm', now(), '{"a": 1}')"""
        )
    with running(*words, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: owned(folder))
        assert total(both(words)) == 40
        process.stdin.close()
        assert process.wait(20) == 0
    ((_, _, _, text),) = known(folder)
    assert ModelMetrics.from_json(text).decided.total_events == 40
