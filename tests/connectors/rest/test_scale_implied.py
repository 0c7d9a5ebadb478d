"""Items SCi-01 to SCi-16 of the contract over HTTP, and the document's examples, field for field.

All of it on one served run; see `scale_day`.
"""

import pytest
from scale_day import DAY, INGESTS, JOB_TYPES, RUNS, day_served, getting, one, points, refused


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with day_served(tmp_path_factory.mktemp("scale")) as found:
        yield found


@pytest.fixture(scope="module")
def run(served):
    return served[0]


@pytest.fixture(scope="module")
def http(served):
    return served[1]


@pytest.fixture(scope="module")
def get(http):
    return getting(http)


@pytest.fixture(scope="module")
def plot(get):
    def asked(**params):
        return get("/job-types/plot-data/", **params)

    return asked


@pytest.fixture(scope="module")
def ids(get):
    return {choice["name"]: choice["id"] for choice in get("/job-types/")["choices"]}


@pytest.fixture(scope="module")
def listed(get):
    return {one["name"]: one for one in get("/")["results"]}


def test_contract_SCi_01_the_three_types_have_the_published_columns_in_their_order(listed):
    names = {name: [column["name"] for column in listed[name]["columns"]] for name in listed}
    assert (names["job-types"], names["ingests"]) == (JOB_TYPES, INGESTS)
    assert names["errors"] == ["total_count"]


def test_contract_SCi_02_rows_of_one_hour_are_merged(plot):
    assert points(one(plot, "queue_time_max"))[0] == ("09", 8)


def test_contract_SCi_03_the_same_runs_again_change_nothing(run, plot):
    before = plot()
    run.post_events(RUNS)
    assert plot() == before


def test_contract_SCi_04_columns_and_groups_are_united_and_none_means_all(plot):
    found = plot(column="run_time_avg", group="run_time")["results"]
    names = [each["column"]["name"] for each in found]
    assert names == ["run_time_avg", "run_time_sum", "run_time_min", "run_time_max"]
    assert plot(column="", group="null")["count"] == 31


def test_contract_SCi_05_both_ends_are_included_and_the_start_lies_before_the_end(http, plot):
    words = {"started": f"{DAY}T09:00:00Z", "ended": f"{DAY}T10:00:00Z"}
    assert points(one(plot, "total_count", **words)) == [("09", 3), ("10", 2)]
    for ended in (words["started"], f"{DAY}T08:00:00Z"):
        refused(http, "/job-types/plot-data/", 400, started=words["started"], ended=ended)


def test_contract_SCi_06_an_unknown_type_is_not_found(http):
    for path in ("/nothing/", "/nothing/plot-data/", "/%00'/", "/job-types/nothing"):
        refused(http, path, 404)


def test_contract_SCi_07_ids_depend_on_the_question_and_not_on_the_data(plot, ids):
    alone = one(plot, "total_count", choice_id=[ids["a"]], ended=f"{DAY}T09:00:00Z")
    assert alone["values"] == [{"id": ids["a"], "datetime": f"{DAY}T09:00:00Z", "value": 2}]


def test_contract_SCi_08_hours_without_rows_or_value_are_skipped(plot):
    assert [at for at, _ in points(one(plot, "queue_time_max"))] == ["09", "10"]
    assert [at for at, _ in points(one(plot, "total_count", ended="null"))][-2:] == ["15", "17"]


def test_contract_SCi_09_a_result_is_a_whole_series(plot):
    assert len(one(plot, "total_count", page_size=1)["values"]) == 3


def test_contract_SCi_10_averages_are_of_sums_and_counts(plot):
    assert points(one(plot, "queue_time_avg"))[0] == ("09", 4)  # and not (2 + 8) / 2


def test_contract_SCi_11_a_minimum_of_zero_is_kept(plot):
    assert points(one(plot, "pre_time_min", ended="null"))[0] == ("15", 0)


def test_contract_SCi_12_a_negative_maximum_is_kept(get):
    (found,) = get("/step-metrics/plot-data/", column="value_max")["results"]
    assert (points(found), found["max_y"]) == ([("15", -1)], -1)


def test_contract_SCi_13_times_count_in_the_hour_of_the_end_alone(plot):
    assert points(one(plot, "run_time_sum", ended="null")) == [("15", 1), ("17", 300)]


def test_contract_SCi_14_x_bounds_are_datetimes(plot):
    assert one(plot, "total_count")["min_x"] == f"{DAY}T09:00:00Z"


def test_contract_SCi_15_only_what_merges_over_choices_is_offered(listed):
    kinds = {column["aggregate"] for each in listed.values() for column in each["columns"]}
    assert kinds == {"sum", "avg", "min", "max"}


def test_contract_SCi_16_filters_are_no_parameters_of_plot_data(http, plot):
    plain = plot(column="total_count")
    assert plot(column="total_count", name="a", version="1", dataType="") == plain
    ui = "page=1&page_size=null&&group=null&dataType=job-types&colors=[object%20Object]&choice_id="
    found = http.get(f"/job-types/plot-data?{ui}&column=total_count").json()
    assert found == plain


def test_golden_the_documents_type_and_choice(get):
    found = get("/job-types/")
    column = {
        "name": "completed_count",
        "title": "Completed Count",
        "description": "Runs that were completed.",
        "units": "count",
        "group": "overview",
        "aggregate": "sum",
    }
    assert found["columns"][0] == column
    assert found["groups"][0]["name"] == "overview"
    assert found["filters"][1] == {"param": "version", "type": "string"}
    choice = found["choices"][-1]
    assert choice == {
        "id": choice["id"],
        "name": "scale-clock",
        "version": "1.0",
        "title": "Scale Clock",
        "description": "Performs what is due",
        "category": "system",
        "author_name": None,
        "author_url": None,
        "is_system": True,
        "is_long_running": True,
        "is_active": True,
        "is_operational": True,
        "is_paused": False,
        "icon_code": "f013",
    }
    assert isinstance(choice["id"], int)


def test_golden_the_documents_plot(plot):
    found = plot(column="run_time_min")
    assert found == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [
            {
                "column": {
                    "name": "run_time_min",
                    "title": "Run Time (Min)",
                    "description": found["results"][0]["column"]["description"],
                    "units": "seconds",
                    "group": "run_time",
                    "aggregate": "min",
                },
                "min_x": f"{DAY}T15:00:00Z",
                "max_x": f"{DAY}T17:00:00Z",
                "min_y": 1,
                "max_y": 300,
                "values": [
                    {"datetime": f"{DAY}T15:00:00Z", "value": 1},
                    {"datetime": f"{DAY}T17:00:00Z", "value": 300},
                ],
            }
        ],
    }
