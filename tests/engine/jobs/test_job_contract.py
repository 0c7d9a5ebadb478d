"""One test per item of the contract of a job's metrics, on one small day with every case."""

import pytest
from job_day import RULES, asked, day

from engine.errors import NotFoundError
from engine.jobs.job_metrics import job_metrics
from engine.jobs.model_metrics import ModelMetrics, model_metrics
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


# ---- request ---------------------------------------------------------------------------------


def test_contract_AC_13_range_and_filters_are_independent_and_combine(cursor):
    start = {"start_datetime": "2025-01-01T02:00:00Z"}
    drop = ("arcanna.result_label", "is", "Drop")
    totals = [
        asked(cursor, *filters, **more)["job_metrics"]["total_events"]
        for more in ({}, start)
        for filters in ((), (drop,))
    ]
    assert totals == [7, 3, 5, 2]


# ---- top level -------------------------------------------------------------------------------


def test_contract_AC_14_job_id_is_echoed_as_it_was_given(cursor):
    assert asked(cursor)["job_id"] == "soc"


def test_contract_AC_15_model_id_is_the_active_model(answer):
    assert answer["model_id"] == "m"


def test_contract_AC_16_AC_17_both_objects_and_their_newer_places(answer, job, model):
    assert answer["active_model_metrics"] == model
    assert {key: answer[key] for key in job} == job


# ---- job_metrics -----------------------------------------------------------------------------


def test_contract_AC_18_confusion_matrix(job):
    assert job["confusion_matrix"] == [[2, 1], [1, 3]]


def test_contract_AC_19_overall_accuracy_is_the_mean_over_decisions(job):
    assert job["overall_accuracy"] == pytest.approx((5 / 7 + 5 / 7) / 2)


def test_contract_AC_20_overall_f1_score(job):
    assert job["overall_f1_score"] == pytest.approx((4 / 6 + 6 / 8) / 2)


def test_contract_AC_21_overall_recall(job):
    assert job["overall_recall"] == pytest.approx((2 / 3 + 3 / 4) / 2)


def test_contract_AC_22_overall_precision(job):
    assert job["overall_precision"] == pytest.approx((2 / 3 + 3 / 4) / 2)


def test_contract_AC_23_metrics_per_decision_are_named_by_the_jobs_classes(job):
    assert list(job["metrics_per_decision"]) == ["Drop", "Keep"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("precision", 3 / 4, id="AC_24"),
        pytest.param("recall", 3 / 4, id="AC_25"),
        pytest.param("f1_score", 6 / 8, id="AC_26"),
        pytest.param("true_positives", 3, id="AC_27"),
        pytest.param("true_negatives", 2, id="AC_28"),
        pytest.param("false_positives", 1, id="AC_29"),
        pytest.param("false_negatives", 1, id="AC_30"),
    ],
)
def test_contract_AC_24_to_AC_30_of_a_decision(job, name, wanted):
    assert job["metrics_per_decision"]["Keep"][name] == wanted


def test_contract_AC_31_AC_32_the_period_actually_used(cursor, job):
    assert (job["start_time"], job["end_time"]) == ("2025-01-01T00:30:00Z", "2025-01-01T15:00:00Z")
    ranged = asked(cursor, end_datetime="2025-01-01T03:30:00Z")["job_metrics"]
    assert ranged["start_time"] == "2025-01-01T00:30:00Z"
    assert ranged["end_time"] == "2025-01-01T03:30:00Z"


def test_contract_AC_33_time_saved_minutes(job):
    assert job["time_saved_minutes"] == 4 * 2.0 + 5.0


def test_contract_AC_34_AC_35_active_and_all_models(job):
    assert job["active_model_id"] == "m"
    assert job["all_model_ids"] == ["m", "old"]  # of one day: by id


def test_contract_AC_36_total_events(job):
    assert job["total_events"] == 7
    assert job["events_without_decision"] == 1


def test_contract_AC_37_total_events_in_knowledge_base(cursor, job):
    assert job["total_events_in_knowledge_base"] == 4
    ranged = asked(cursor, ("id", "is", "f"), start_datetime="2025-01-01T14:00:00Z")
    assert ranged["job_metrics"]["total_events_in_knowledge_base"] == 4


def test_contract_AC_38_total_events_with_consensus(job):
    assert job["total_events_with_consensus"] == 3


def test_contract_AC_39_AC_40_AC_41_AC_42_changed_consensus_after_training(cursor, job):
    told = {"total_events": 1, "top_events_ids": ["b"], "top_buckets_ids": ["x"]}
    assert job["changed_consensus_after_training"] == told
    ranged = asked(cursor, start_datetime="2025-01-01T03:00:00Z")["job_metrics"]
    nothing = {"total_events": 0, "top_events_ids": [], "top_buckets_ids": []}
    assert ranged["changed_consensus_after_training"] == nothing


# ---- model_metrics ---------------------------------------------------------------------------


def test_contract_AC_43_the_models_matrix_holds_its_own_decisions_of_all_time(cursor, model):
    assert model["confusion_matrix"] == [[2, 1], [1, 2]]
    ranged = asked(cursor, ("id", "is", "f"), start_datetime="2025-01-01T14:00:00Z")
    assert ranged["model_metrics"] == model


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("overall_accuracy", 4 / 6, id="AC_44a"),
        pytest.param("overall_f1_score", 4 / 6, id="AC_44b"),
        pytest.param("overall_recall", 4 / 6, id="AC_44c"),
        pytest.param("overall_precision", 4 / 6, id="AC_44d"),
    ],
)
def test_contract_AC_44_overall_metrics_of_the_model(model, name, wanted):
    assert model[name] == pytest.approx(wanted)


def test_contract_AC_45_metrics_per_decision_of_the_model(model):
    assert model["metrics_per_decision"]["Drop"] == {
        **dict.fromkeys(("precision", "recall", "f1_score"), pytest.approx(2 / 3)),
        "true_positives": 2,
        "true_negatives": 2,
        "false_positives": 1,
        "false_negatives": 1,
    }


def test_contract_AC_46_AC_47_AC_48_whose_and_of_when(model):
    assert model["model_id"] == "m"
    assert model["is_recomputing_metrics"] is False
    assert model["last_recomputed_timestamp"] == "2025-01-15T10:30:00Z"


def test_contract_AC_49_AC_50_AC_51_knowledge_base_by_decision(model):
    assert model["kb_count_per_decision"] == {
        "Drop": {"alerts_count": 3, "buckets_count": 2},
        "Keep": {"alerts_count": 1, "buckets_count": 0},
    }


def test_contract_AC_52_AC_53_buckets_and_events_of_the_base(model):
    """`c` and `d` have the same features, 99 and 99.0: one bucket, for the later label."""
    assert (model["buckets_in_kb"], model["events_in_kb"]) == (2, 4)


# ---- errors and invariants (AC-59 to AC-63 of every answer: test_job_laws) -------------------


def test_contract_AC_54_an_unknown_job_is_not_found(cursor):
    for ask in (
        lambda: job_metrics(cursor, parse_question({"job_id": "?"}), RULES),
        lambda: model_metrics(cursor, "?", RULES, 0),
    ):
        with pytest.raises(NotFoundError, match=r"^Job or model not found$"):
            ask()


def test_contract_AC_56_last_known_metrics_survive_as_json(cursor):
    known = model_metrics(cursor, "soc", RULES, 7)
    again = ModelMetrics.from_json(known.to_json())
    assert (again.computed_us, again.decided) == (known.computed_us, known.decided)
    question = parse_question({"job_id": "soc"})
    assert job_metrics(cursor, question, RULES, again.knowledge) == job_metrics(
        cursor, question, RULES
    )


def test_contract_AC_59_to_AC_63_of_this_answer(job, model, answer):
    assert sum(map(sum, job["confusion_matrix"])) == job["total_events"]
    for each in job["metrics_per_decision"].values():
        assert sum(value for name, value in each.items() if "tives" in name) == 7
    counts = model["kb_count_per_decision"].values()
    events = sum(each["alerts_count"] for each in counts)
    assert events == model["events_in_kb"] == job["total_events_in_knowledge_base"]
    assert sum(each["buckets_count"] for each in counts) == model["buckets_in_kb"]
    assert answer["model_id"] == job["active_model_id"] == model["model_id"]
