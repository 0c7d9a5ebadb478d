"""One test per item that the contract of a job's metrics implies, on the same day."""

import pytest
from job_day import RULES, asked, day, decision, stored, vote

from engine.jobs.answers import job_and_latest_model
from engine.jobs.job_metrics import job_metrics
from engine.jobs.questions import parse_question


@pytest.fixture(scope="module")
def cursor():
    return day()


@pytest.fixture(scope="module")
def answer(cursor):
    return asked(cursor)


@pytest.fixture(scope="module")
def job(answer):
    return answer["job_metrics"]


@pytest.fixture(scope="module")
def model(answer):
    return answer["model_metrics"]


def test_contract_ACi_01_without_a_majority_an_event_is_undecided(cursor):
    job = asked(cursor, ("arcanna.consensus", "is", "Undecided"))["job_metrics"]
    assert job["total_events"] == 1
    assert job["events_per_label_source"] == {"undecided": 1}
    job = asked(cursor, ("label_source", "is", "administrator"))["job_metrics"]
    assert job["labelled_metrics"]["confusion_matrix"] == [[0, 0], [1, 0]]


def test_contract_ACi_02_ACi_04_events_of_a_bucket_and_events_without(cursor):
    assert asked(cursor, ("arcanna.bucket_id", "is", "x"))["job_metrics"]["total_events"] == 2
    assert asked(cursor, ("bucket_id", "not exists"))["job_metrics"]["total_events"] == 5


def test_contract_ACi_03_what_is_labelled_after_the_deployment_is_not_known(cursor):
    assert asked(cursor)["model_metrics"]["events_in_kb"] == 4
    assert asked(cursor, ("label", "exists"))["job_metrics"]["labelled_events"] == 4


def test_contract_ACi_05_ACi_06_minutes_of_correct_decisions_are_echoed(job):
    assert job["minutes_per_event"] == {
        "old": {"event": None, "by_label": {"Keep": 5.0}},
        "m": {"event": 2.0, "by_label": {}},
    }
    assert job["labelled_metrics"]["time_saved_minutes"] == 2 * 2.0


def test_contract_ACi_07_ACi_08_events_without_a_label_count_as_agreed_with(job):
    assert job["labelled_events"] == 4
    assert job["labelled_metrics"]["confusion_matrix"] == [[1, 1], [1, 1]]
    assert job["events_per_label_source"] == {
        "administrator": 1,
        "none": 2,
        "prediction": 1,
        "undecided": 1,
        "votes": 2,
    }


def test_contract_ACi_09_corrected_events_changed(job):
    assert job["changed_consensus_after_training"]["top_events_ids"] == ["b"]


def test_contract_ACi_11_ACi_12_the_job_counts_all_models_the_model_itself(job, model):
    assert (job["total_events"], model["total_events"]) == (7, 6)


def test_contract_ACi_13_without_a_range_all_time_counts(job):
    assert job["total_events"] + job["events_without_decision"] == 8


def test_contract_ACi_14_several_filters_must_all_hold(cursor):
    filters = (("prediction", "is", "Drop"), ("label", "is", "Keep"))
    assert asked(cursor, *filters)["job_metrics"]["total_events"] == 1


def test_contract_ACi_16_the_range_is_of_event_time_and_both_clocks_have_filters(cursor):
    late = ("timestamp_inference", "lt", "1970-01-02")  # the tests' clock stands at 1970
    assert asked(cursor, late)["job_metrics"]["total_events"] == 7
    assert asked(cursor, ("@timestamp", "lt", "1970-01-02"))["job_metrics"]["total_events"] == 0


def test_contract_ACi_17_two_accuracies_under_names_of_their_own(job):
    assert job["accuracy"] == pytest.approx(5 / 7)
    assert job["macro_ovr_accuracy"] == job["overall_accuracy"]


def test_contract_ACi_18_undefined_is_null_and_left_out_of_the_mean(cursor):
    job = asked(cursor, ("id", "is", "c"))["job_metrics"]
    assert job["metrics_per_decision"]["Drop"]["recall"] is None
    assert job["overall_recall"] == 1.0
    nothing = asked(cursor, ("id", "is", "?"))["job_metrics"]
    assert nothing["overall_accuracy"] is nothing["start_time"] is nothing["end_time"] is None
    assert nothing["confusion_matrix"] == [[0, 0], [0, 0]]


def test_contract_ACi_19_labels_and_axes_are_told(job, model):
    for block in (job, model, job["labelled_metrics"]):
        assert block["labels"] == ["Drop", "Keep"]
        assert block["axes"] == {"rows": "truth", "cols": "prediction"}


def test_contract_ACi_20_a_new_label_grows_the_matrix_a_late_one_moves_a_count():
    lines = [decision("a", 1, "Drop"), decision("b", 2, "Keep")]
    later = [vote("a", 3, "New", "ana"), vote("b", 3, "Drop", "ana"), vote("b", 4, "Keep", "ana")]
    found = []
    for count in range(2, 6):
        cursor = stored((lines + later)[:count], 1)
        metrics = job_metrics(cursor, parse_question({"job_id": "soc"}), RULES)
        found.append((metrics.decided.all.labels, metrics.decided.all.confusion_matrix))
    small, large = ("Drop", "Keep"), ("Drop", "Keep", "New")
    assert found == [
        (small, ((1, 0), (0, 1))),
        (large, ((0, 0, 0), (0, 1, 0), (1, 0, 0))),
        (large, ((0, 1, 0), (0, 0, 0), (1, 0, 0))),
        (large, ((0, 0, 0), (0, 1, 0), (1, 0, 0))),
    ]


def test_contract_ACi_24_never_computed_is_null_while_it_is_computed(cursor):
    question = parse_question({"job_id": "soc"})
    found = job_and_latest_model(
        question, job_metrics(cursor, question, RULES), None, recomputing=True
    )
    assert found["model_metrics"] is None
    assert found["is_recomputing_metrics"] is True
    assert found["model_id"] == "m"


def test_contract_ACi_26_a_model_id_is_not_taken_apart():
    event = decision("a", 1, "Drop", model_id="generic-1-99-model-7.hdf5")
    found = job_metrics(stored([event]), parse_question({"job_id": "soc"}), RULES)
    assert found.active_model_id == "generic-1-99-model-7.hdf5"
