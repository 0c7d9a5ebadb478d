"""Items SC-01 to SC-30 of the contract over HTTP, on one served run; see `scale_day`."""

import pytest
from scale_day import DAY, JOB_TYPES, KINDS, day_served, getting, one, points, refused


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


def test_contract_SC_01_counts_and_timings_of_processing_are_offered(listed):
    columns = listed["job-types"]["columns"]
    assert {column["units"] for column in columns} == {"count", "seconds"}


def test_contract_SC_02_the_types_are_listed_with_and_without_a_slash(http, get):
    names = [found["name"] for found in get("/")["results"]]
    assert names[:3] == ["job-types", "ingests", "errors"]
    assert get("/") == http.get(f"{str(http.base_url).rstrip('/')}").json()


def test_contract_SC_03_page_is_1_by_default(http, get):
    assert get("/", page_size=2)["results"] == get("/", page=1, page_size=2)["results"]
    assert get("/", page=2, page_size=2)["results"][0]["name"] == "errors"
    assert "at most" in refused(http, "/", 404, page=99)
    for page in ("0", "-1", "1.5", "x"):
        assert "`page` must be" in refused(http, "/", 400, page=page)


def test_contract_SC_04_page_size_is_100_by_default_and_at_most_1000(http, plot):
    assert len(plot()["results"]) == len(plot(page_size="null")["results"]) == 31
    assert len(plot(page_size=1000)["results"]) == len(plot(page_size=5000)["results"]) == 31
    assert refused(http, "/", 400, page_size=0) == "`page_size` must be at least 1, got 0"


def test_contract_SC_05_the_envelope_links_to_the_pages_beside_by_url(run, http, get):
    first = get("/", page_size=4)
    assert list(first) == ["count", "next", "previous", "results"]
    assert (first["count"], first["previous"]) == (9, None)
    assert first["next"] == f"{run.url}/v6/metrics/?page=2&page_size=4"
    second = http.get(first["next"]).json()
    assert second["previous"] == f"{run.url}/v6/metrics/?page=1&page_size=4"
    third = http.get(second["next"]).json()
    assert third["next"] is None
    names = [each["name"] for page in (first, second, third) for each in page["results"]]
    assert len(names) == len(set(names)) == 9
    words = {"column": ["total_count", "failed_count"], "page_size": 1, "started": "P9000D"}
    following = http.get(get("/job-types/plot-data/", **words)["next"]).json()
    assert [each["column"]["name"] for each in following["results"]] == ["failed_count"]
    assert "started=P9000D" in following["previous"]


def test_contract_SC_06_a_name_is_what_the_type_is_asked_by(get, listed):
    assert all(get(f"/{name}/")["name"] == name for name in listed)


def test_contract_SC_07_every_type_has_a_title(listed):
    assert [each["title"] for each in listed.values()][:3] == ["Job Types", "Ingests", "Errors"]


def test_contract_SC_08_every_type_has_a_description(listed):
    assert all(each["description"].endswith(".") for each in listed.values())


def test_contract_SC_09_filters_have_a_parameter_and_a_type(listed):
    assert listed["job-types"]["filters"] == [
        {"param": "name", "type": "string"},
        {"param": "version", "type": "string"},
    ]


def test_contract_SC_10_groups_are_named_sets_of_columns(listed):
    for each in listed.values():
        assert all(set(group) == {"name", "title", "description"} for group in each["groups"])
        names = {group["name"] for group in each["groups"]}
        assert {column["group"] for column in each["columns"]} <= names


def test_contract_SC_11_columns_have_six_keys(listed):
    keys = {"name", "title", "description", "units", "group", "aggregate"}
    columns = [column for each in listed.values() for column in each["columns"]]
    assert all(set(column) == keys for column in columns)
    assert {column["aggregate"] for column in columns} == {"avg", "max", "min", "sum"}


def test_contract_SC_12_details_are_the_type_and_its_choices(http, get, listed):
    found = get("/job-types/")
    assert {key: found[key] for key in found if key != "choices"} == listed["job-types"]
    assert [choice["name"] for choice in found["choices"]] == ["a", "b", "scale-clock"]
    assert http.get("/job-types").json() == found


def test_contract_SC_13_details_have_filters_and_columns_as_the_list(get, listed):
    found = get("/ingests/")
    assert found["filters"] == listed["ingests"]["filters"]
    assert found["columns"] == listed["ingests"]["columns"]


def test_contract_SC_14_every_filter_is_a_field_of_every_choice(get, listed):
    for name in listed:
        found = get(f"/{name}/")
        params = {each["param"] for each in found["filters"]}
        assert all(params <= set(choice) for choice in found["choices"])


def test_contract_SC_15_a_choice_has_the_fields_of_the_example(get):
    fields = "id name version title description category author_name author_url is_system"
    more = "is_long_running is_active is_operational is_paused icon_code"
    assert all(list(each) == f"{fields} {more}".split() for each in get("/job-types/")["choices"])


def test_contract_SC_16_series_are_answered_with_and_without_a_slash(http, plot):
    assert points(one(plot, "total_count")) == [("09", 3), ("10", 2), ("11", 1)]
    params = {"column": "total_count", "ended": f"{DAY}T13:00:00Z"}
    plain = http.get("/job-types/plot-data", params=params).json()
    assert plain == http.get("/job-types/plot-data/", params=params).json()


def test_contract_SC_17_pages_of_plot_data_count_columns(http, plot):
    found = plot(page=4, page_size=10)
    assert (found["count"], len(found["results"])) == (31, 1)
    assert found["results"][0]["column"]["name"] == "stage_time_avg"
    refused(http, "/job-types/plot-data/", 404, page=5, page_size=10)


def test_contract_SC_18_started_is_an_instant_or_a_duration(http, plot):
    for started in (f"{DAY}T10:00:00Z", f"{DAY}T12:00:00+02:00"):
        assert points(one(plot, "total_count", started=started)) == [("10", 2), ("11", 1)]
    assert one(plot, "total_count", started="PT3H0M0S", ended="null")["values"] == []
    assert points(one(plot, "total_count", started="P40Y", ended="null"))[0] == ("09", 3)
    assert "ISO 8601" in refused(http, "/job-types/plot-data/", 400, started="soon")


def test_contract_SC_19_ended_is_the_same_and_now_by_default(plot):
    assert points(one(plot, "total_count", ended=f"{DAY}T10:00:00Z"))[-1] == ("10", 2)
    assert points(one(plot, "total_count", ended="null"))[-1] == ("17", 1)
    assert points(one(plot, "total_count", ended="PT0S"))[-1] == ("17", 1)


def test_contract_SC_20_choices_are_repeatable_and_must_be_known(http, plot, ids):
    found = one(plot, "total_count", choice_id=[ids["a"], ids["b"], ids["a"]])
    assert sorted(value["value"] for value in found["values"]) == [1, 1, 2, 2]
    for word in ("7", "x"):
        refused(http, "/job-types/plot-data/", 400, choice_id=[ids["a"], word])


def test_contract_SC_21_without_choices_values_are_aggregated_by_date(plot):
    assert points(one(plot, "queue_time_sum")) == [("09", 12), ("10", 0.5)]


def test_contract_SC_22_columns_are_repeatable_and_answered_in_their_order(http, plot):
    names = ["run_time_max", "total_count", "queue_time_avg"]
    found = plot(column=[*names, "total_count"])
    assert [each["column"]["name"] for each in found["results"]] == names
    assert found["count"] == 3
    refused(http, "/job-types/plot-data/", 400, column="total")


def test_contract_SC_23_groups_are_repeatable_and_unknown_ones_say_nothing(plot):
    found = plot(group=["errors", "queue_time", "no such group"])
    names = [each["column"]["name"] for each in found["results"]]
    assert names == [*JOB_TYPES[4:7], *(f"queue_time_{kind}" for kind in KINDS)]


def test_contract_SC_24_the_column_is_defined_with_its_six_keys(plot, listed):
    column = one(plot, "run_time_min")["column"]
    assert column in listed["job-types"]["columns"]


def test_contract_SC_25_x_bounds_are_the_first_and_the_last_time(plot):
    found = one(plot, "queue_time_max")
    assert (found["min_x"], found["max_x"]) == (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z")
    empty = one(plot, "stage_time_max")
    assert (empty["min_x"], empty["max_x"], empty["values"]) == (None, None, [])


def test_contract_SC_26_y_bounds_are_the_least_and_the_greatest_value(plot):
    found = one(plot, "queue_time_sum")
    assert (found["min_y"], found["max_y"]) == (0.5, 12)
    assert isinstance(found["max_y"], int)
    assert one(plot, "stage_time_max")["min_y"] is None


def test_contract_SC_27_values_are_sorted_oldest_to_newest(plot, ids):
    found = one(plot, "total_count", choice_id=[ids["b"], ids["a"]])
    assert [at for at, _ in points(found)] == ["09", "09", "10", "11"]


def test_contract_SC_28_the_id_is_omitted_without_choices_and_told_with_any(plot, ids):
    assert all(set(value) == {"datetime", "value"} for value in one(plot, "total_count")["values"])
    for chosen in ([ids["a"]], [ids["a"], ids["b"]]):  # one, too: the published UI needs it
        found = one(plot, "total_count", choice_id=chosen)["values"]
        assert {value["id"] for value in found} == set(chosen)


def test_contract_SC_29_times_are_iso_8601(plot):
    times = [value["datetime"] for value in one(plot, "total_count")["values"]]
    assert times == [f"{DAY}T{hour}:00:00Z" for hour in ("09", "10", "11")]


def test_contract_SC_30_whole_values_are_integers(plot):
    values = [value["value"] for value in one(plot, "queue_time_avg")["values"]]
    assert values == [4, 0.25]
    assert [type(value) for value in values] == [int, float]
