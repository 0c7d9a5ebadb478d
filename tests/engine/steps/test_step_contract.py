"""The contract of Dioptra's step metrics, one test an id (contracts.md, DI and DIi).

What an address answers is tested here as what the function behind it returns; status codes, the
session and the addresses themselves belong to the REST issue, and so does the dashboard of DI-10.
"""

import math
from datetime import datetime, timezone
from inspect import signature

import pytest
from step_lines import RECEIVED_US, held, instant, metric, step_store, take

from connectors.steplog import StepLog
from engine.errors import QueryError
from engine.steps.experiments import experiment_metrics
from engine.steps.names import id_text, metric_name
from engine.steps.step_queries import Metric, Snapshot, latest, snapshots


def stored(*events, cuts=None):
    store = step_store()
    take(store, events, cuts)
    return store


def history(store, job="7", name="loss"):
    return [(s.step, s.value) for s in snapshots(store, job, name, 0, 1000).data]


def test_contract_DI_01_a_metric_is_a_measurement_of_a_job():
    store = stored(metric(7, "loss", 0.5), metric(8, "loss", 0.7))
    assert latest(store, 7) == (Metric("loss", 0.5),)
    assert latest(store, 8) == (Metric("loss", 0.7),)


def test_contract_DI_02_name_and_step_are_the_key_within_a_job():
    pairs = [("a", 0), ("a", 1), ("b", 0)]
    store = stored(*[metric(j, n, 1, step=s) for j in (1, 2) for n, s in pairs + pairs])
    assert sorted(held(store)) == sorted((str(j), n, s) for j in (1, 2) for n, s in pairs)


def test_contract_DI_03_the_name_is_a_string():
    assert latest(stored(metric(7, "val_loss", 1)), 7)[0].name == "val_loss"


@pytest.mark.parametrize("value", [0.1, -0.0, 5e-324, 1.7976931348623157e308, 3])
def test_contract_DI_04_the_value_is_a_float(value):
    assert latest(stored(metric(7, "loss", value)), 7)[0].value == value


@pytest.mark.parametrize("where", ["latest", "history", "experiment"])
@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_contract_DI_12_special_values_come_back_as_strings_that_float_reads(text, where):
    store = stored(metric(7, "loss", text, experiment_id=1))
    entry = {
        "latest": latest(store, 7)[0].to_json,
        "history": snapshots(store, 7, "loss").data[0].to_json,
        "experiment": lambda: experiment_metrics(store, 1).data[0].to_json()["metrics"][0],
    }[where]()
    assert entry["value"] == text
    assert repr(float(entry["value"])) == text


def special(value):
    return latest(stored(metric(7, "loss", value)), 7)[0]


def test_contract_DI_05_nan_on_the_wire():
    assert math.isnan(special("nan").value)
    assert special("nan").to_json()["value"] == "nan"


def test_contract_DI_06_infinity_on_the_wire():
    assert special("inf").value == math.inf
    assert special("inf").to_json()["value"] == "inf"


def test_contract_DI_07_minus_infinity_on_the_wire():
    assert special("-inf").value == -math.inf
    assert special("-inf").to_json()["value"] == "-inf"


def test_contract_DI_08_the_step_is_zero_when_it_is_not_given():
    store = stored(metric(7, "loss", 1), metric(7, "b", 1, step=None), metric(7, "c", 1, step=3))
    assert [key[2] for key in sorted(held(store), key=lambda key: key[1])] == [0, 3, 0]


def test_contract_DI_09_the_timestamp_is_that_of_receipt_when_it_is_not_given():
    store = stored(metric(7, "loss", 1), metric(7, "b", 1, timestamp="2023-05-01T12:00:00+02:00"))
    (received,) = snapshots(store, 7, "loss").data
    (given,) = snapshots(store, 7, "b").data
    assert received.timestamp == instant(RECEIVED_US)
    assert given.to_json()["timestamp"] == "2023-05-01T10:00:00+00:00"


def test_contract_DI_10_logged_from_python_and_read_from_python(tmp_path):
    path = tmp_path / "steps.ndjson"
    with StepLog(path, job_id=7) as log:
        log.log("loss", 0.25, step=1)
    assert latest(stored(*path.read_text().splitlines()), 7) == (Metric("loss", 0.25),)


def test_contract_DI_11_latest_is_every_metric_at_its_highest_step():
    store = stored(
        metric(7, "b", 1, step=0), metric(7, "a", 2, step=4), metric(7, "a", 3, step=3), cuts=[1, 2]
    )
    assert latest(store, job_id=7) == (Metric("a", 2.0), Metric("b", 1.0))
    assert latest(store, "nobody") == ()


def test_contract_DI_13_history_in_pages_of_ten():
    given = list(signature(snapshots).parameters.values())[1:]
    assert [(p.name, p.default) for p in given[2:]] == [("index", 0), ("page_length", 10)]
    store = stored(*[metric(7, "loss", n, step=n) for n in range(25)])
    pages = [snapshots(store, 7, "loss", index) for index in range(3)]
    assert [len(page.data) for page in pages] == [10, 10, 5]
    assert [s.step for page in pages for s in page.data] == list(range(25))


def test_contract_DI_14_an_experiment_counts_jobs_and_has_the_clients_parameters():
    given = list(signature(experiment_metrics).parameters.values())[2:]
    assert [(p.name, p.default) for p in given] == [
        ("index", 0),
        ("page_length", 10),
        ("sort_by", None),
        ("descending", None),
        ("search", None),
    ]
    store = stored(*[metric(j, n, 1, experiment_id="e") for j in range(12) for n in "abc"])
    page = experiment_metrics(store, "e")
    assert (page.total, len(page.data), len(page.data[0].metrics)) == (12, 10, 3)
    found = experiment_metrics(store, "e", sort_by="id", descending=True, search="id:1?")
    assert [job.id for job in found.data] == ["11", "10"]


def test_contract_DI_15_the_answer_of_the_latest_metrics():
    store = stored(metric(7, "loss", 0.5, step=3, timestamp=1))
    assert [found.to_json() for found in latest(store, 7)] == [{"name": "loss", "value": 0.5}]


def test_contract_DI_16_the_answer_of_the_history():
    page = snapshots(stored(metric(7, "loss", 0.5, step=3, timestamp=1500)), 7, "loss")
    at = "1970-01-01T00:00:01.500000+00:00"
    entry = {"name": "loss", "value": 0.5, "step": 3, "timestamp": at}
    assert page.to_json(str) == {
        "index": 0,
        "isComplete": True,
        "totalNumResults": 1,
        "first": "0",
        "data": [entry],
    }


def test_contract_DI_17_the_answer_of_an_experiment():
    store = stored(metric(7, "loss", 0.5, experiment_id=3), metric("b", "acc", 1, experiment_id=3))
    assert experiment_metrics(store, 3).to_json(str)["data"] == [
        {"id": 7, "metrics": [{"name": "loss", "value": 0.5}]},
        {"id": "b", "metrics": [{"name": "acc", "value": 1.0}]},
    ]
    assert experiment_metrics(store, 4).to_json(str)["data"] == []


def test_contract_DI_18_one_value_is_logged_by_name_value_step_and_timestamp(tmp_path):
    path = tmp_path / "steps.ndjson"
    at = datetime(2023, 5, 1, 12, tzinfo=timezone.utc)  # noqa: UP017 - either spelling is given
    with StepLog(path, 7) as log:
        log.log("loss", 1.5)
        log.log("acc", 2.5, 4, at)
        log.log("f1", 3.5, timestamp="2023-05-01T12:00")
    found = held(stored(*path.read_text().splitlines()))
    assert {key[1:]: row[0] for key, row in found.items()} == {
        ("loss", 0): 1.5,
        ("acc", 4): 2.5,
        ("f1", 0): 3.5,
    }
    assert found["7", "acc", 4][2] == found["7", "f1", 0][2] == int(at.timestamp()) * 1_000_000


def test_contract_DI_19_a_posted_value_becomes_a_line_that_says_the_same(tmp_path):
    log = StepLog(tmp_path / "steps.ndjson", "7")
    event = log.log("loss", float("inf"), 2, 1500)
    log.close()
    assert event == metric("7", "loss", "inf", step=2, timestamp=1500)


def test_contract_DI_20_logging_gives_the_event_back(tmp_path):
    with StepLog(tmp_path / "steps.ndjson", 7, 3) as log:
        event = log.log("loss", 1)
    assert event == metric("7", "loss", 1.0, experiment_id="3", step=0)


def test_contract_DI_21_ids_are_integers_or_strings():
    store = stored(metric(7, "loss", 1, experiment_id=3), metric("8", "loss", 2, experiment_id="3"))
    assert latest(store, 7) == latest(store, "7") != ()
    assert latest(store, 8) == latest(store, "8") != ()
    assert experiment_metrics(store, 3) == experiment_metrics(store, "3")
    assert experiment_metrics(store, 3).total == 2
    assert snapshots(stored(metric(7, "5", 1)), "7", 5).total == 1
    for wrong in (1.5, None, True, "", "x" * 257, [7]):
        with pytest.raises(QueryError, match="`job_id` must be a string of 1 to 256"):
            id_text(wrong, "job_id")


def test_contract_DIi_01_the_same_step_again_replaces_value_and_time():
    store = stored(
        metric(7, "loss", 1, step=2, timestamp=1000),
        metric(7, "loss", 5, step=2, timestamp=3000),
        metric(7, "loss", 4, step=2, timestamp=2000),
    )
    assert snapshots(store, 7, "loss").data == (Snapshot("loss", 5.0, 2, instant(3_000_000)),)


def test_contract_DIi_02_a_loop_that_forgets_the_step_has_auto(tmp_path):
    path = tmp_path / "steps.ndjson"
    with StepLog(path, 7) as log:
        for value in (3, 2, 1):
            log.log("loss", value, step="auto")
            log.log("lost", value)
    store = stored(*path.read_text().splitlines())
    assert history(store) == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert history(store, name="lost") == [(0, 1.0)]


def test_contract_DIi_03_latest_is_the_highest_step_and_not_the_latest_time():
    late = metric(7, "loss", 9, step=1, timestamp=9000)
    store = stored(metric(7, "loss", 1, step=5, timestamp=1000), late, cuts=[1, 1])
    assert latest(store, 7) == (Metric("loss", 1.0),)


def test_contract_DIi_04_legal_names():
    legal = ("a", "Z", "_a", "__", "a_1", "val_loss", "A9", "x" * 256)
    assert [metric_name(name) for name in legal] == list(legal)
    wrong = ("", "_", "1a", "a b", "a%", "a/b", "a.b", "a-b", "\u00e9t\u00e9", "a\n", "x" * 257, 5)
    for name in (*wrong, None):
        with pytest.raises(QueryError, match="`name` must be a letter or underscore"):
            metric_name(name)


def test_contract_DIi_05_numbers_and_special_values_share_one_column():
    store = stored(*[metric(7, "loss", v, step=n) for n, v in enumerate((1, "nan", "inf", "-inf"))])
    values = [value for _, value in history(store)]
    assert repr(values) == "[1.0, nan, inf, -inf]"
    told = store.execute("SELECT count(*) FROM step_metrics WHERE isfinite(value)").fetchall()
    assert told == [(1,)]


def test_contract_DIi_06_the_index_counts_pages():
    store = stored(*[metric(7, "loss", n, step=n) for n in range(9)])
    assert [s.step for s in snapshots(store, 7, "loss", index=2, page_length=3).data] == [6, 7, 8]


def test_contract_DIi_07_history_is_in_order_of_steps():
    steps = [5, 0, 9, 3, 2**62, 1]
    store = stored(*[metric(7, "loss", 1, step=step) for step in steps], cuts=[2, 4])
    assert [step for step, _ in history(store)] == sorted(steps)


def test_contract_DIi_08_what_latest_and_history_tell():
    store = stored(metric(7, "loss", 1))
    assert set(latest(store, 7)[0].to_json()) == {"name", "value"}
    assert set(snapshots(store, 7, "loss").data[0].to_json()) == {
        "name",
        "value",
        "step",
        "timestamp",
    }


@pytest.mark.parametrize(("first", "second"), [("nan", 1), (1, "nan"), ("inf", "-inf")])
def test_contract_DIi_09_replacing_leaves_nothing_of_the_value_before(first, second):
    store = stored(metric(7, "m", first, timestamp=1), metric(7, "m", second, timestamp=2))
    (found,) = latest(store, 7)
    assert repr(found.value) == repr(float(second))
    assert found.to_json()["value"] == second


def test_contract_DIi_10_the_envelope_of_a_page():
    store = stored(*[metric(7, "loss", n, step=n) for n in range(5)])
    keys = ["index", "isComplete", "totalNumResults", "first", "next", "prev", "data"]
    assert list(snapshots(store, 7, "loss", 1, 2).to_json(str)) == keys
    ends = [snapshots(store, 7, "loss", index, 2).to_json(str) for index in (0, 2)]
    assert ["prev" in ends[0], "next" in ends[0]] == [False, True]
    assert ["prev" in ends[1], "next" in ends[1]] == [True, False]


def test_contract_DIi_11_windows_over_the_last_steps():
    # Alert rules over such windows are tested with the rules; this is what queries see.
    store = stored(*[metric(7, "loss", value, step=10 * n) for n, value in enumerate((4, 2, 6))])
    rows = store.execute(
        "SELECT step, avg(value) OVER (ORDER BY step ROWS 1 PRECEDING) FROM step_metrics"
        " WHERE job_id = '7' AND name = 'loss' ORDER BY step"
    ).fetchall()
    assert rows == [(0, 4.0), (10, 3.0), (20, 4.0)]
