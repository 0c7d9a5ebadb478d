"""Items SC-16 to SC-30 of the contract, and what is implied of plot data, on a few known hours.

Paths and status codes are those of the REST service. SCi-03 and SCi-13 are about what an hour holds
and are tested where the hours are counted.
"""

import json

import pytest
from plot_tables import declare, plot_store, write

from engine.errors import NotFoundError, QueryError
from engine.instants import iso_us
from engine.processing.plot import plot_data
from engine.processing.plot_words import question_of

NOW_US = iso_us("2015-10-05T12:00:00Z")
HOURS = {  # by choice and hour: the queue times of its runs
    ("a", 9): [1.0, 3.0],
    ("b", 9): [8.0],
    ("a", 10): [0.0, -2.5],
    ("b", 11): [],
    ("a", 13): [7.0],
}


@pytest.fixture(scope="module")
def told():
    store = plot_store()
    ids = {name: declare(store, "job-types", name) for name in ("a", "b")}
    for (name, hour), values in HOURS.items():
        counts = {"total": max(len(values), 1), "completed": len(values)}
        hour_s = iso_us(f"2015-10-05T{hour:02}:00:00Z") // 10**6
        write(store, "job-types", (ids[name], hour_s), counts, {"queue_time": values})

    def plot(**words):
        found = {
            name: [words[name]] if isinstance(words[name], str) else words[name] for name in words
        }
        return plot_data(store, question_of("job-types", found, NOW_US)).to_json()

    return plot, ids, store


def points(result):
    hours = [value["datetime"][11:13] for value in result["values"]]
    return list(zip(hours, [value["value"] for value in result["values"]], strict=True))


def one(plot, column, **words):
    (result,) = plot(column=column, **words)["results"]
    return result


def test_contract_SC_16_series_of_a_type_are_answered(told):
    plot, *_ = told
    assert points(one(plot, "total_count")) == [("09", 3), ("10", 2), ("11", 1)]


def test_contract_SC_17_pages_count_columns(told):
    plot, *_ = told
    names = [result["column"]["name"] for result in plot(page="4", page_size="10")["results"]]
    assert names == ["stage_time_avg"]
    assert len(plot(page_size="null")["results"]) == len(plot(page_size="5000")["results"]) == 31
    with pytest.raises(NotFoundError, match="`page` must be at most 4, got 5"):
        plot(page="5", page_size="10")


def test_contract_SC_18_started_is_an_instant_or_a_duration(told):
    plot, *_ = told
    for started in ("2015-10-05T10:00:00Z", "2015-10-05T12:00:00+02:00", "PT2H0M0S"):
        assert points(one(plot, "total_count", started=started)) == [("10", 2), ("11", 1)]


def test_contract_SC_19_ended_is_the_same_and_now_by_default(told):
    plot, *_ = told
    for ended in ("2015-10-05T10:00:00Z", "PT2H"):
        assert points(one(plot, "total_count", ended=ended)) == [("09", 3), ("10", 2)]
    later = one(plot, "total_count", ended="2015-10-06")
    assert points(later)[-1] == ("13", 1)
    assert points(one(plot, "total_count"))[-1] == ("11", 1)


def test_contract_SC_20_choices_are_repeatable_and_must_be_known(told):
    plot, ids, _ = told
    both = one(plot, "total_count", choice_id=[str(ids["a"]), str(ids["b"]), str(ids["a"])])
    assert sorted(value["value"] for value in both["values"]) == [1, 1, 2, 2]
    for word, rule in (("7", "one of the choices of job-types"), ("x", "a whole number")):
        with pytest.raises(QueryError, match=f"`choice_id` must be {rule}, got {word}"):
            plot(choice_id=[str(ids["a"]), word])


def test_contract_SC_21_without_choices_values_are_aggregated_by_date(told):
    plot, *_ = told
    assert points(one(plot, "queue_time_sum")) == [("09", 12), ("10", -2.5)]


def test_contract_SC_22_columns_are_repeatable_and_answered_in_their_order(told):
    plot, *_ = told
    names = ["run_time_max", "total_count", "queue_time_avg"]
    found = plot(column=[*names, "total_count"])
    assert [result["column"]["name"] for result in found["results"]] == names
    assert found["count"] == 3
    with pytest.raises(QueryError) as caught:
        plot(column="total")
    assert str(caught.value) == "`column` must be one of the columns of job-types, got total"


def test_contract_SC_23_groups_are_repeatable_and_unknown_ones_say_nothing(told):
    plot, *_ = told
    found = plot(group=["run_time", "nothing", "errors"])["results"]
    assert [result["column"]["name"] for result in found] == [
        *("run_time_sum", "run_time_min", "run_time_max", "run_time_avg"),
        *("error_system_count", "error_data_count", "error_algorithm_count"),
    ]
    assert plot(group="null")["count"] == plot(group="nothing")["count"] == 31


def test_contract_SC_24_the_column_is_defined_with_its_six_keys(told):
    plot, *_ = told
    assert one(plot, "run_time_min")["column"] == {
        "name": "run_time_min",
        "title": "Run Time (Min)",
        "description": "Least time spent on preparation, job and what follows it.",
        "units": "seconds",
        "group": "run_time",
        "aggregate": "min",
    }


def test_contract_SC_25_x_bounds_are_the_first_and_the_last_time(told):
    plot, *_ = told
    found = one(plot, "queue_time_max")
    assert (found["min_x"], found["max_x"]) == ("2015-10-05T09:00:00Z", "2015-10-05T10:00:00Z")
    empty = one(plot, "stage_time_max")
    assert (empty["min_x"], empty["max_x"], empty["values"]) == (None, None, [])


def test_contract_SC_26_y_bounds_are_the_least_and_the_greatest_value(told):
    plot, *_ = told
    found = one(plot, "queue_time_sum")
    assert (found["min_y"], found["max_y"]) == (-2.5, 12)
    assert isinstance(found["max_y"], int)
    empty = one(plot, "stage_time_max")
    assert (empty["min_y"], empty["max_y"]) == (None, None)


def test_contract_SC_27_values_are_sorted_oldest_to_newest_then_by_choice(told):
    plot, ids, _ = told
    found = one(plot, "total_count", choice_id=[str(ids["b"]), str(ids["a"])])
    keys = [(value["datetime"], value["id"]) for value in found["values"]]
    assert keys == sorted(keys)
    assert len(keys) == 4


def test_contract_SC_28_the_id_is_omitted_without_choices_and_told_with_any(told):
    plot, ids, _ = told
    assert all("id" not in value for value in one(plot, "total_count")["values"])
    # The document leaves it out for one choice, too; the published client needs it (wire.md).
    alone = one(plot, "total_count", choice_id=str(ids["b"]))
    assert [value["id"] for value in alone["values"]] == [ids["b"]] * 2
    assert list(alone["values"][0]) == ["id", "datetime", "value"]


def test_contract_SC_29_times_are_iso_8601(told):
    plot, *_ = told
    times = [value["datetime"] for value in one(plot, "total_count")["values"]]
    assert times == [f"2015-10-05T{hour}:00:00Z" for hour in ("09", "10", "11")]


def test_contract_SC_30_whole_values_are_integers(told):
    plot, *_ = told
    values = [value["value"] for value in one(plot, "queue_time_avg")["values"]]
    assert values == [4, -1.25]
    assert [type(value) for value in values] == [int, float]
    assert json.loads(json.dumps(values)) == values


def test_contract_SCi_02_rows_of_one_hour_are_merged_and_times_are_full_hours(told):
    plot, *_ = told
    assert all(
        value["datetime"].endswith(":00:00Z") for value in one(plot, "total_count")["values"]
    )
    assert points(one(plot, "completed_count")) == [("09", 3), ("10", 2), ("11", 0)]


def test_contract_SCi_04_columns_and_groups_are_united_and_none_means_all(told):
    plot, *_ = told
    found = plot(column="run_time_avg", group="run_time")["results"]
    names = [result["column"]["name"] for result in found]
    assert names == ["run_time_avg", "run_time_sum", "run_time_min", "run_time_max"]
    assert plot()["count"] == 31


def test_contract_SCi_05_both_ends_are_included_and_the_start_lies_before_the_end(told):
    plot, *_ = told
    words = {"started": "2015-10-05T09:00:00Z", "ended": "2015-10-05T10:00:00Z"}
    assert points(one(plot, "total_count", **words)) == [("09", 3), ("10", 2)]
    for ended in (words["started"], "2015-10-05T08:00:00Z"):
        with pytest.raises(QueryError, match="`started` must be before `ended`="):
            plot(started=words["started"], ended=ended)


def test_contract_SCi_07_ids_depend_on_the_question_and_not_on_the_data(told):
    plot, ids, _ = told
    found = one(plot, "total_count", choice_id=str(ids["a"]))
    assert {value["id"] for value in found["values"]} == {ids["a"]}


def test_contract_SCi_08_hours_without_rows_or_value_are_skipped(told):
    plot, *_ = told
    assert [hour for hour, _ in points(one(plot, "queue_time_max"))] == ["09", "10"]
    assert [hour for hour, _ in points(one(plot, "total_count", ended="2015-10-06"))][-1] == "13"


def test_contract_SCi_09_a_result_is_a_whole_series(told):
    plot, *_ = told
    assert len(one(plot, "total_count", page_size="1")["values"]) == 3


def test_contract_SCi_10_averages_are_of_sums_and_counts(told):
    plot, *_ = told
    assert points(one(plot, "queue_time_avg"))[0] == ("09", 4)  # and not (2 + 8) / 2


def test_contract_SCi_11_a_minimum_of_zero_is_kept(told):
    plot, ids, store = told
    hour_s = iso_us("2015-10-05T14:00:00Z") // 10**6
    write(store, "job-types", (ids["a"], hour_s), {"total": 2}, {"pre_time": [0.0, 5.0]})
    assert points(one(plot, "pre_time_min", ended="2015-10-06")) == [("14", 0)]


def test_contract_SCi_12_a_negative_maximum_is_kept(told):
    plot, ids, store = told
    hour_s = iso_us("2015-10-05T15:00:00Z") // 10**6
    write(store, "job-types", (ids["a"], hour_s), {"total": 2}, {"job_time": [-3.0, -1.0]})
    assert points(one(plot, "job_time_max", ended="2015-10-06")) == [("15", -1)]


def test_contract_SCi_14_x_bounds_are_datetimes(told):
    plot, *_ = told
    assert "T" in one(plot, "total_count")["min_x"]


def test_contract_SCi_16_filters_are_no_parameters_of_plot_data(told):
    plot, *_ = told
    plain = plot(column="total_count")
    assert plot(column="total_count", name="a", version="1", dataType="") == plain
