"""Items SC-01 to SC-15 of the contract, and what is implied of the types: lists and details.

Paths, status codes, content types and the URLs in `next` and `previous` are those of the REST
service; here is what it answers from: pages by number, and the contract's objects.
"""

import json

import pytest
from plot_tables import FIRST_S, declare, plot_store, write

from engine.catalogue_settings import Catalogues, ChoiceSettings
from engine.config import Settings
from engine.errors import NotFoundError, QueryError
from engine.processing.catalogues import catalogues, details
from engine.processing.declared import declare_catalogues
from engine.processing.hours import choice_of
from engine.processing.plot_pages import page_of
from engine.processing.plot_words import page_words

KINDS = ("sum", "min", "max", "avg")
JOB_TYPES = [
    *("completed_count", "failed_count", "canceled_count", "total_count"),
    *("error_system_count", "error_data_count", "error_algorithm_count"),
    *(
        f"{name}_{kind}"
        for name in ("queue_time", "pre_time", "job_time", "post_time", "run_time", "stage_time")
        for kind in KINDS
    ),
]
INGESTS = [
    *("deferred_count", "ingested_count", "errored_count", "duplicate_count", "total_count"),
    *(f"{name}_{kind}" for name in ("file_size", "transfer_time", "ingest_time") for kind in KINDS),
]


@pytest.fixture(scope="module")
def store():
    found = plot_store()
    for name, version in (("scale-clock", "1.0"), ("parse", None)):
        choice = declare(found, "job-types", name, version)
        write(found, "job-types", (choice, FIRST_S), {"total": 1}, {})
    for catalogue, name in (("ingests", "strike 1"), ("errors", "System")):
        write(found, catalogue, (declare(found, catalogue, name), FIRST_S), {"total": 1}, {})
    return found


def listed(store):
    return {one["name"]: one for one in catalogues(store).to_json()["results"]}


def test_contract_SC_01_counts_and_timings_of_processing_are_offered(store):
    columns = listed(store)["job-types"]["columns"]
    assert {column["units"] for column in columns} == {"count", "seconds"}


def test_contract_SC_02_the_types_are_listed(store):
    names = ["job-types", "ingests", "errors", "confusion", "metric-values", "drift", "alerts"]
    assert list(listed(store)) == [*names, "anomaly-scores", "step-metrics"]


def test_contract_SC_03_page_is_a_whole_number_from_1_and_1_by_default(store):
    assert page_words({})[0] == 1
    assert page_words({"page": ["2"]})[0] == 2
    second = catalogues(store, page=2, page_size=2)
    assert [one.name for one in second.catalogues] == ["errors", "confusion"]
    for words, told in (("x", "a whole number, got x"), ("1.5", "a whole number, got 1.5")):
        with pytest.raises(QueryError, match=f"`page` must be {told}"):
            page_words({"page": [words]})
    with pytest.raises(QueryError, match="`page` must be at least 1, got 0"):
        catalogues(store, page=0)
    with pytest.raises(NotFoundError, match="`page` must be at most 5, got 6"):
        catalogues(store, page=6, page_size=2)


def test_contract_SC_04_page_size_is_100_by_default_and_1_to_1000(store):
    assert page_words({})[1] == page_words({"page_size": ["null"]})[1] == 100
    assert len(catalogues(store, page_size=1).catalogues) == 1
    with pytest.raises(QueryError, match="`page_size` must be at least 1, got 0"):
        catalogues(store, page_size=0)
    page = page_of(2_500, 1, 5_000)  # capped, as the published server does
    assert (page.size, page.stop, page.next) == (1_000, 1_000, 2)


def test_contract_SC_05_the_envelope_counts_all_and_knows_the_pages_beside(store):
    first, last = catalogues(store, 1, 4), catalogues(store, 3, 4)
    assert first.to_json().keys() == {"count", "results"}
    assert first.to_json()["count"] == last.to_json()["count"] == 9
    assert (first.page.previous, first.page.next) == (None, 2)
    assert (last.page.previous, last.page.next) == (2, None)
    assert (len(first.catalogues), len(last.catalogues)) == (4, 1)
    json.dumps(first.to_json())


def test_contract_SC_06_a_name_is_what_the_type_is_asked_by(store):
    assert all(details(store, name).catalogue.name == name for name in ("job-types", "errors"))


def test_contract_SC_07_every_type_has_a_title(store):
    titles = [one["title"] for one in listed(store).values()]
    assert titles[:3] == ["Job Types", "Ingests", "Errors"]
    assert all(titles)


def test_contract_SC_08_every_type_has_a_description(store):
    assert all(one["description"].endswith(".") for one in listed(store).values())


def test_contract_SC_09_filters_have_a_parameter_and_a_type(store):
    filters = listed(store)["job-types"]["filters"]
    assert filters == [{"param": "name", "type": "string"}, {"param": "version", "type": "string"}]
    types = {"bool", "date", "datetime", "float", "int", "string", "time"}
    assert all(one["type"] in types for each in listed(store).values() for one in each["filters"])


def test_contract_SC_10_groups_are_named_sets_of_columns(store):
    for one in listed(store).values():
        assert [set(group) for group in one["groups"]] == [{"name", "title", "description"}] * len(
            one["groups"]
        )
        assert {group["name"] for group in one["groups"]} == {
            column["group"] for column in one["columns"]
        }


def test_contract_SC_11_columns_have_six_keys_and_one_of_four_aggregates(store):
    keys = ["name", "title", "description", "units", "group", "aggregate"]
    for one in listed(store).values():
        assert [list(column) for column in one["columns"]] == [keys] * len(one["columns"])
        assert {column["aggregate"] for column in one["columns"]} <= {"avg", "max", "min", "sum"}
    assert listed(store)["job-types"]["columns"][0] == {
        "name": "completed_count",
        "title": "Completed Count",
        "description": "Runs that were completed.",
        "units": "count",
        "group": "overview",
        "aggregate": "sum",
    }


def test_contract_SC_12_details_are_the_type_and_its_choices(store):
    told = details(store, "ingests").to_json()
    assert told.pop("choices") == [
        {
            "id": choice_of("ingests", "strike 1"),
            "name": "strike 1",
            "title": "strike 1",
            "description": None,
            "is_active": True,
        }
    ]
    assert told == listed(store)["ingests"]


def test_contract_SC_13_details_have_filters_and_columns_as_the_list(store):
    told = details(store, "job-types").to_json()
    assert "version" in {one["param"] for one in told["filters"]}
    assert [column["name"] for column in told["columns"]] == JOB_TYPES


def test_contract_SC_14_every_filter_is_a_field_of_every_choice(store):
    for name in ("job-types", "ingests", "errors"):
        told = details(store, name)
        assert told.choices
        params = {one.param for one in told.catalogue.filters}
        assert all(params <= set(choice) for choice in told.choices)
    (error,) = details(store, "errors").choices
    assert (error["name"], error["category"]) == ("System", None)


def test_contract_SC_15_a_choice_has_the_fields_of_the_example_declared_or_by_default(store):
    told = (("title", "Clock"), ("is_system", True), ("is_active", False), ("icon_code", "f013"))
    choices = (
        ChoiceSettings("job-types", "scale-clock", "1.0", told),
        ChoiceSettings("job-types", "never run", None, (("category", "system"),)),
    )
    declare_catalogues(store, Settings(catalogues=Catalogues(choices=choices)))
    try:
        never, parse, clock = details(store, "job-types").choices
    finally:
        declare_catalogues(store, Settings())
    fields = "id name version title description category author_name author_url is_system"
    assert list(clock) == [
        *fields.split(),
        *("is_long_running", "is_active", "is_operational", "is_paused", "icon_code"),
    ]
    assert clock == {
        "id": choice_of("job-types", "scale-clock", "1.0"),
        "name": "scale-clock",
        "version": "1.0",
        "title": "Clock",
        "description": None,
        "category": None,
        "author_name": None,
        "author_url": None,
        "is_system": True,
        "is_long_running": False,
        "is_active": False,
        "is_operational": True,
        "is_paused": False,
        "icon_code": "f013",
    }
    assert (parse["title"], parse["version"], parse["is_active"]) == ("parse", None, True)
    assert (never["id"], never["category"]) == (choice_of("job-types", "never run"), "system")
    assert len(details(store, "job-types").choices) == 2  # what is no longer declared is gone


def test_contract_SCi_01_the_three_types_have_the_published_columns_in_their_order(store):
    found = {
        name: [column["name"] for column in one["columns"]] for name, one in listed(store).items()
    }
    assert (found["job-types"], len(JOB_TYPES)) == (JOB_TYPES, 31)
    assert (found["ingests"], len(INGESTS)) == (INGESTS, 17)
    assert found["errors"] == ["total_count"]
    units = {column["name"]: column["units"] for column in listed(store)["ingests"]["columns"]}
    assert (units["file_size_avg"], units["transfer_time_min"]) == ("bytes", "seconds")


def test_contract_SCi_06_an_unknown_type_is_not_found(store):
    with pytest.raises(
        NotFoundError, match=r"`name` must be one of the catalogues \(job-types, .*\), got nothing"
    ):
        details(store, "nothing")


def test_contract_SCi_15_only_what_merges_over_choices_is_offered(store):
    kinds = {column["aggregate"] for one in listed(store).values() for column in one["columns"]}
    assert kinds == {"sum", "avg", "min", "max"}
