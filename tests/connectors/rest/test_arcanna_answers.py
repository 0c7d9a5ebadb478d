"""The figures of a job and of its model over HTTP, field by field, against a naive twin.

The twin is plain Python over the same events, which have votes, corrections, buckets and two
models; the document's example is all hits, so that a wrong formula could hide behind its ones.
"""

import threading
import time
from dataclasses import replace
from datetime import datetime

import arcanna_desk
import httpx
import pytest
from arcanna_desk import ACTIVE, DAY_MS, DEPLOYED_MS, FILTER, MINUTE_MS, OLD, RANGE, vote
from arcanna_serving import BOTH, asked, client, filters
from naive_job_answers import bucket_of
from second_server import second_server
from serving import KEYS, serving

from connectors.jobcalls import stored_rules
from connectors.refresh import Refresher
from engine.jobs.model_metrics import model_metrics

EVENTS = arcanna_desk.stream()
NAIVE = arcanna_desk.twin(EVENTS)
ROWS = NAIVE.selection(*arcanna_desk.RANGE_MS, [FILTER])  # what `answer` is about
JOB = NAIVE.decided(ROWS)
MODEL = NAIVE.decided([row for row in NAIVE.rows if row["model_id"] == ACTIVE])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("desk"), arcanna_desk.CONFIG) as found:
        found.post_events([*EVENTS, *arcanna_desk.loose()])
        yield found


@pytest.fixture(scope="module")
def http(served):
    with client(served) as found:
        yield found


@pytest.fixture(scope="module")
def answer(http):
    return asked(http, body=filters(FILTER), job_id="desk", **RANGE)


@pytest.fixture(scope="module")
def job(answer):
    return answer["job_metrics"]


@pytest.fixture(scope="module")
def model(answer):
    return answer["model_metrics"]


# ---- the job ---------------------------------------------------------------------------------

OVERALL = {
    "AC-18": "confusion_matrix",
    "AC-19": "overall_accuracy",
    "AC-20": "overall_f1_score",
    "AC-21": "overall_recall",
    "AC-22": "overall_precision",
}
PER_DECISION = {
    "AC-24": "precision",
    "AC-25": "recall",
    "AC-26": "f1_score",
    "AC-27": "true_positives",
    "AC-28": "true_negatives",
    "AC-29": "false_positives",
    "AC-30": "false_negatives",
}


def close(value):
    return pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("item", OVERALL)
def test_contract_AC_18_to_22_figures_over_all_decisions(item, job):
    name = OVERALL[item]
    assert job[name] == (JOB[name] if name == "confusion_matrix" else close(JOB[name]))
    assert job[name] not in (0, 1)


def test_contract_AC_18_the_matrix_has_hits_and_misses(job):
    """The twin's stream is no easy one: a transposed matrix would be another one."""
    matrix = job["confusion_matrix"]
    assert matrix != [list(column) for column in zip(*matrix, strict=True)]
    assert len(matrix) == len(job["labels"]) == 4


def test_contract_AC_23_decisions_by_the_jobs_own_names(job):
    assert list(job["metrics_per_decision"]) == JOB["labels"]
    assert JOB["labels"] == ["Drop", "Investigate", "Escalate", "Reopened"]


@pytest.mark.parametrize("item", PER_DECISION)
def test_contract_AC_24_to_30_figures_of_each_decision(item, job):
    found, wanted = (
        {label: each[PER_DECISION[item]] for label, each in block["metrics_per_decision"].items()}
        for block in (job, JOB)
    )
    assert found == {label: value and close(value) for label, value in wanted.items()}
    assert len(set(found.values())) > 2


def test_contract_AC_32_the_end_as_asked_and_else_the_last_event(answer, http):
    assert answer["job_metrics"]["end_time"] == RANGE["end_datetime"]
    whole = asked(http, job_id="desk")["job_metrics"]["end_time"]
    last_ms = max(row["time"] for row in NAIVE.rows)
    assert datetime.fromisoformat(whole).timestamp() * 1_000 == last_ms


def test_contract_AC_35_every_model_that_the_job_has_had(job):
    assert job["all_model_ids"] == NAIVE.models == [OLD, ACTIVE]
    assert job["active_model_id"] == NAIVE.active == ACTIVE


def test_contract_AC_37_events_in_the_knowledge_base(job, http):
    assert job["total_events_in_knowledge_base"] == len(NAIVE.base()) > 50
    whole = asked(http, job_id="desk")["job_metrics"]
    assert whole["total_events_in_knowledge_base"] == job["total_events_in_knowledge_base"]


def test_contract_AC_38_events_with_consensus(job):
    by_people = [row for row in ROWS if row["source"] in ("votes", "administrator")]
    decided = [row for row in by_people if row["event"].get("prediction") is not None]
    assert job["total_events_with_consensus"] == len(decided) > 10
    assert job["total_events_with_consensus"] < job["total_events"]


def test_contract_AC_39_what_changed_is_an_object_of_three(job):
    found = job["changed_consensus_after_training"]
    assert set(found) == {"total_events", "top_events_ids", "top_buckets_ids"}


CHANGED = {"AC-40": "total_events", "AC-41": "top_events_ids", "AC-42": "top_buckets_ids"}


@pytest.mark.parametrize("item", CHANGED)
@pytest.mark.parametrize("top", [3, 10])
def test_contract_AC_40_to_42_labels_corrected_after_training(item, top, http):
    found = asked(http, job_id="desk", top=top)["changed_consensus_after_training"]
    wanted = NAIVE.changed(NAIVE.rows, top)
    assert found[CHANGED[item]] == wanted[CHANGED[item]]
    assert wanted["total_events"] > 10 >= len(wanted["top_events_ids"]) == top


# ---- the model -------------------------------------------------------------------------------

OF_MODEL = {
    "AC-43": "confusion_matrix",
    "AC-44a": "overall_accuracy",
    "AC-44b": "overall_f1_score",
    "AC-44c": "overall_recall",
    "AC-44d": "overall_precision",
}


@pytest.mark.parametrize("item", OF_MODEL)
def test_contract_AC_43_44_figures_of_the_model(item, model, job):
    name = OF_MODEL[item]
    assert model[name] == (MODEL[name] if name == "confusion_matrix" else close(MODEL[name]))
    assert model[name] != job[name]


def test_contract_AC_45_each_decision_of_the_model(model):
    assert list(model["metrics_per_decision"]) == MODEL["labels"]
    for label, wanted in MODEL["metrics_per_decision"].items():
        found = model["metrics_per_decision"][label]
        assert found == {name: value and close(value) for name, value in wanted.items()}


def test_contract_AC_46_the_model_of_the_figures(answer, model):
    assert model["model_id"] == answer["model_id"] == ACTIVE


def test_contract_AC_47_true_while_a_recompute_is_running(served, model):
    assert model["is_recomputing_metrics"] is False
    gate = threading.Event()
    gate.set()

    def compute(cursor, job_id, now_us):
        assert gate.wait(30)
        return model_metrics(cursor, job_id, stored_rules(cursor), now_us)

    def again(known, now_us):
        return replace(known, computed_us=now_us)

    refresher = Refresher(served.session.readers(), compute, lambda *_: None, again, lambda: 0)
    try:
        with second_server(served, recomputes=refresher) as url:
            headers = {"X-Arcanna-Api-Key": KEYS["editor"]}
            with httpx.Client(base_url=url, headers=headers, timeout=30) as held:
                assert asked(held, job_id="desk")["is_recomputing_metrics"] is False
                gate.clear()
                served.post_events([vote({"model_id": "aside", "id": 1}, "A", "ana", DAY_MS)])
                running = asked(held, job_id="desk", timeout_s=0)
                gate.set()
    finally:
        gate.set()
        refresher.close()
    assert running["is_recomputing_metrics"] is True
    assert running["model_metrics"]["is_recomputing_metrics"] is True
    assert running["model_metrics"]["confusion_matrix"] == model["confusion_matrix"]


def test_contract_AC_48_when_the_figures_were_computed(model):
    found = datetime.fromisoformat(model["last_recomputed_timestamp"]).timestamp()
    assert time.time() - 120 < found < time.time() + 1  # noqa: TID251 - the wall clock is told


COUNTS = {"AC-50": ("alerts_count", 0), "AC-51": ("buckets_count", 1)}


def test_contract_AC_49_the_knowledge_base_by_decision(model):
    assert set(NAIVE.counts()[0]) <= set(model["kb_count_per_decision"])
    for each in model["kb_count_per_decision"].values():
        assert set(each) == {"alerts_count", "buckets_count"}


@pytest.mark.parametrize("item", COUNTS)
def test_contract_AC_50_51_counts_of_each_decision(item, model):
    name, place = COUNTS[item]
    counted = NAIVE.counts()[place]
    found = {label: each[name] for label, each in model["kb_count_per_decision"].items()}
    assert {label: count for label, count in found.items() if count} == counted
    assert len(counted) > 1


def test_contract_AC_52_buckets_in_the_knowledge_base(model):
    buckets = {row["bucket"] for row, *_ in NAIVE.base() if row["bucket"] is not None}
    assert model["buckets_in_kb"] == len(buckets) > 6


def test_contract_AC_53_events_in_the_knowledge_base(model):
    assert model["events_in_kb"] == len(NAIVE.base())


# ---- what the document leaves open -----------------------------------------------------------


def of_loose(http, *each):
    return asked(http, body=filters(*each), job_id="loose")["job_metrics"]


def test_contract_ACi_01_a_majority_an_administrator_or_nobody_decides(http):
    for name, consensus in [("most", "Drop"), ("ruled", "Escalate"), ("tied", "Undecided")]:
        named = ("id", "is", name)
        assert of_loose(http, named, ("arcanna.consensus", "is", consensus))["total_events"] == 1
        assert of_loose(http, named)["events_per_label_source"] == {
            {"most": "votes", "ruled": "administrator", "tied": "undecided"}[name]: 1
        }
    assert of_loose(http, ("arcanna.consensus", "not exists"))["total_events"] == 2


def test_contract_ACi_02_a_bucket_has_an_id_or_the_same_features(http):
    by_id = [row for row in NAIVE.rows if row["event"].get("bucket_id") == "b2"]
    features = {"features": {"city": "Bern", "port": 2}}
    alike = [row for row in NAIVE.rows if row["bucket"] == bucket_of(features)]
    for name, inside in [("b2", by_id), (bucket_of(features), alike)]:
        body = filters(("arcanna.bucket_id", "is", name))
        found = asked(http, body=body, job_id="desk")["job_metrics"]
        assert found["total_events"] + found["events_without_decision"] == len(inside) > 5


def test_contract_ACi_03_known_is_what_was_labelled_when_the_model_was_deployed(http):
    model = asked(http, job_id="loose")["model_metrics"]
    counts = {label: each["alerts_count"] for label, each in model["kb_count_per_decision"].items()}
    assert counts == {"Drop": 2, "Escalate": 1}  # `most`, `told`, `ruled`; not `late`, not `tied`
    assert (model["events_in_kb"], model["labelled_events"]) == (3, 4)


def test_contract_ACi_04_events_may_be_in_no_bucket(http):
    found = asked(http, job_id="loose")
    model = found["model_metrics"]
    assert {each["buckets_count"] for each in model["kb_count_per_decision"].values()} == {0}
    assert model["buckets_in_kb"] == 0
    assert found["changed_consensus_after_training"]["top_buckets_ids"] == []
    assert of_loose(http, ("arcanna.bucket_id", "not exists"))["total_events"] == 6


def test_contract_ACi_06_minutes_are_settings_and_echoed(job):
    assert job["minutes_per_event"] == {
        OLD: {"event": 4.0, "by_label": {}},
        ACTIVE: {"event": None, "by_label": {"Drop": 2.0, "Escalate": 15.0}},
    }
    assert job["time_saved_minutes"] == JOB["time_saved_minutes"] > 0
    labelled = JOB["labelled_metrics"]["time_saved_minutes"]
    assert job["labelled_metrics"]["time_saved_minutes"] == labelled < job["time_saved_minutes"]


def test_contract_ACi_07_consensus_is_not_what_the_matrix_counts(job):
    sources = job["events_per_label_source"]
    by_people = sources["votes"] + sources["administrator"]
    assert job["total_events_with_consensus"] == by_people
    assert sum(map(sum, job["confusion_matrix"])) == sum(sources.values()) > by_people


def test_contract_ACi_08_events_without_a_label_count_as_agreed_with(job):
    assert job["events_per_label_source"] == JOB["events_per_label_source"]
    assert job["labelled_events"] == JOB["labelled_events"]
    labelled = job["labelled_metrics"]["confusion_matrix"]
    assert labelled == JOB["labelled_metrics"]["confusion_matrix"]
    both = zip(job["confusion_matrix"], labelled, strict=True)
    agreed = [[a - b for a, b in zip(*lines, strict=True)] for lines in both]
    assert all(count == 0 for i, row in enumerate(agreed) for j, count in enumerate(row) if i != j)
    assert sum(map(sum, agreed)) == job["total_events"] - job["labelled_events"] > 0


def test_contract_ACi_09_a_correction_after_training_is_a_change(served, http):
    first = {"model_id": "loose", "id": "most"}
    assert asked(http, job_id="loose")["changed_consensus_after_training"]["total_events"] == 0
    for by in ("ana", "ben"):
        served.post_events([vote(first, "Escalate", by, DEPLOYED_MS + 9 * MINUTE_MS)])
    found = asked(http, job_id="loose")["changed_consensus_after_training"]
    assert (found["total_events"], found["top_events_ids"]) == (1, ["most"])
    assert asked(http, job_id="loose")["model_metrics"]["events_in_kb"] == 3
    for by in ("ana", "ben"):
        served.post_events([vote(first, "Drop", by, DEPLOYED_MS + 10 * MINUTE_MS)])
    assert asked(http, job_id="loose")["changed_consensus_after_training"]["total_events"] == 0


def test_contract_ACi_11_the_job_is_of_all_models_and_the_model_of_itself(http):
    whole = asked(http, job_id="desk")
    assert whole["job_metrics"]["total_events"] == NAIVE.decided(NAIVE.rows)["total_events"]
    assert whole["model_metrics"]["total_events"] == MODEL["total_events"]
    for name in (OLD, ACTIVE):
        body = filters(("model_id", "is", name))
        found = asked(http, body=body, job_id="desk")["job_metrics"]
        wanted = NAIVE.decided([row for row in NAIVE.rows if row["model_id"] == name])
        assert found["confusion_matrix"] == wanted["confusion_matrix"]


def test_contract_ACi_12_range_and_filters_leave_the_model_as_it_is(answer, http):
    names = ("confusion_matrix", "total_events", "events_in_kb", "overall_recall")
    whole = asked(http, job_id="desk")
    for other in (answer, asked(http, job_id="desk", end_datetime="2020-01-01")):
        told = {name: other["model_metrics"][name] for name in names}
        assert told == {name: whole["model_metrics"][name] for name in names}
        assert other["job_metrics"]["total_events"] < whole["job_metrics"]["total_events"]


def test_contract_ACi_17_two_accuracies_under_two_names(job):
    matrix, total = job["confusion_matrix"], job["total_events"]
    right = sum(row[place] for place, row in enumerate(matrix))
    columns = list(zip(*matrix, strict=True))
    missed = [sum(matrix[k]) + sum(columns[k]) - 2 * matrix[k][k] for k in range(len(matrix))]
    means = sum(1 - each / total for each in missed) / len(matrix)
    assert job["accuracy"] == close(right / total)
    assert job["macro_ovr_accuracy"] == job["overall_accuracy"] == close(means)
    assert job["macro_ovr_accuracy"] > job["accuracy"]


def test_contract_ACi_18_undefined_is_null_and_left_out_of_the_mean(http):
    found = of_loose(http, ("id", "is", "ruled"))  # Drop, and it was Escalate
    drop, escalate = (found["metrics_per_decision"][name] for name in ("Drop", "Escalate"))
    assert (drop["precision"], drop["recall"], drop["f1_score"]) == (0, None, 0)
    assert (escalate["precision"], escalate["recall"], escalate["f1_score"]) == (None, 0, 0)
    assert (found["overall_precision"], found["overall_recall"]) == (0, 0)
    hit = of_loose(http, ("id", "is", "told"))
    assert (hit["overall_precision"], hit["overall_recall"], hit["overall_f1_score"]) == (1, 1, 1)
    nothing = of_loose(http, ("id", "is", "nobody"))
    assert nothing["overall_accuracy"] is nothing["overall_f1_score"] is None
    assert nothing["total_events"] == 0


def test_contract_ACi_20_a_new_label_grows_the_matrix_and_a_late_one_moves_a_count(served, http):
    base = {"model_id": "grows", "timestamp": DAY_MS}
    one, two = ({**base, "id": name, "prediction": said} for name, said in ("aA", "bB"))
    said = [(one, "C", 1), (two, "A", 2), (one, "A", 3)]
    votes = [[vote(event, label, "ana", DAY_MS + late)] for event, label, late in said]
    matrices = [
        [[1, 0], [0, 1]],
        [[0, 0, 0], [0, 1, 0], [1, 0, 0]],
        [[0, 1, 0], [0, 0, 0], [1, 0, 0]],
        [[1, 1], [0, 0]],
    ]
    steps = zip([[one, two], *votes], ["AB", "ABC", "ABC", "AB"], matrices, strict=True)
    for events, labels, matrix in steps:
        served.post_events(events)
        for part in ("job_metrics", "model_metrics"):
            found = asked(http, job_id="grows")[part]
            assert (found["labels"], found["confusion_matrix"]) == (list(labels), matrix)


def test_contract_ACi_26_a_models_id_is_not_taken_apart(http, job):
    """Its id names the job 99 and the second 7 of 1970, and neither is so."""
    assert job["active_model_id"] == "generic-1-99-model-7.hdf5"
    assert http.post(BOTH, params={"job_id": 99}, json={}).status_code == 404
    first = asked(http, body=filters(("model_id", "is", ACTIVE)), job_id="desk")["start_time"]
    assert first == "2025-01-01T03:00:00Z"
