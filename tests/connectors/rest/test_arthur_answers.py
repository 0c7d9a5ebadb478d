"""Answers to queries over HTTP: every function against its formula, pages, bounds, refusals."""

import math
import statistics

import pytest
from arthur_rows import CLASS_A, CONFIG, Cells, cells, events_of, kinds, loans, numbers
from serving import serving

from connectors.calls import Asking
from connectors.rest.arthur.queries import within_time
from engine.errors import QueryError

LOANS, NUMBERS, KINDS = loans(200), numbers(), kinds()
COUNT = {"select": [{"function": "count"}]}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("functions"), CONFIG) as found:
        for model, rows in (("loans", LOANS), ("prices", NUMBERS), ("kinds", KINDS)):
            found.post_events(events_of(model, rows))
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("viewer") as client:
        yield client


@pytest.fixture
def value_of(http):
    """Ask one function; gives its value."""

    def ask(function, model="loans", **parameters):
        item = {"function": function, "alias": "it", "parameters": parameters}
        answer = http.post(f"/api/v3/models/{model}/inferences/query", json={"select": [item]})
        assert answer.status_code == 200, answer.text
        (row,) = answer.json()["query_result"]
        assert list(row) == ["it"]
        return row["it"]

    return ask


def _temperatures():
    return [row["temperature"] for row in LOANS if row["temperature"] is not None]


def test_contract_AR_F01_avg(value_of):
    assert value_of("avg", property="temperature") == pytest.approx(
        statistics.fmean(_temperatures())
    )


def test_contract_AR_F02_count(value_of):
    assert value_of("count") == len(LOANS)


def test_contract_AR_F03_min(value_of):
    assert value_of("min", property="temperature") == min(_temperatures())


def test_contract_AR_F04_max(value_of):
    assert value_of("max", property="temperature") == max(_temperatures())


def _priced():
    return [(row["label"], row["prediction"]) for row in NUMBERS if row["label"] is not None]


def test_contract_AR_F05_rmse(value_of):
    expected = math.sqrt(statistics.fmean((y - p) ** 2 for y, p in _priced()))
    assert value_of("rmse", "prices") == pytest.approx(expected)


def test_contract_AR_F06_mae(value_of):
    expected = statistics.fmean(abs(y - p) for y, p in _priced())
    assert value_of("mae", "prices") == pytest.approx(expected)


def test_contract_AR_F07_r_squared(value_of):
    mean = statistics.fmean(y for y, _ in _priced())
    residual = sum((y - p) ** 2 for y, p in _priced())
    expected = 1 - residual / sum((y - mean) ** 2 for y, _ in _priced())
    assert value_of("rSquared", "prices") == pytest.approx(expected)


RATES = {
    "AR_F08_accuracyRate": lambda c: (c.tp + c.tn) / sum(c),
    "AR_F09_balancedAccuracyRate": lambda c: (c.tp / (c.tp + c.fn) + c.tn / (c.tn + c.fp)) / 2,
    "AR_F10_f1": lambda c: 2 * c.tp / (2 * c.tp + c.fp + c.fn),
    "AR_F11_falseNegativeRate": lambda c: c.fn / (c.fn + c.tp),
    "AR_F12_falsePositiveRate": lambda c: c.fp / (c.fp + c.tn),
    "AR_F13_precision": lambda c: c.tp / (c.tp + c.fp),
    "AR_F14_recall": lambda c: c.tp / (c.tp + c.fn),
    "AR_F15_sensitivity": lambda c: c.tp / (c.tp + c.fn),
    "AR_F16_specificity": lambda c: c.tn / (c.tn + c.fp),
    "AR_F17_truePositiveRate": lambda c: c.tp / (c.tp + c.fn),
    "AR_F18_trueNegativeRate": lambda c: c.tn / (c.tn + c.fp),
}


@pytest.mark.parametrize("item", RATES)
def test_contract_rates_of_a_positive_class(item, value_of):
    name = item.rpartition("_")[2]
    assert value_of(name, **CLASS_A) == pytest.approx(RATES[item](cells(LOANS)))
    assert value_of(name) == pytest.approx(RATES[item](cells(LOANS)))  # as the model declares them


def _one_versus_rest(name):
    return Cells.of((row["label"] == name, row["prediction"] == name) for row in KINDS)


def test_contract_AR_F19_accuracyRateMulticlass(value_of):
    expected = statistics.fmean(row["label"] == row["prediction"] for row in KINDS)
    assert value_of("accuracyRateMulticlass", "kinds") == pytest.approx(expected)


MULTICLASS = {
    "AR_F20_falseNegativeRateMulticlass": RATES["AR_F11_falseNegativeRate"],
    "AR_F21_falsePositiveRateMulticlass": RATES["AR_F12_falsePositiveRate"],
    "AR_F22_truePositiveRateMulticlass": RATES["AR_F14_recall"],
    "AR_F23_trueNegativeRateMulticlass": RATES["AR_F16_specificity"],
}


@pytest.mark.parametrize("item", MULTICLASS)
def test_contract_ARi_19_rates_of_several_classes_take_a_class(item, value_of):
    name = item.rpartition("_")[2]
    each = [MULTICLASS[item](_one_versus_rest(kind)) for kind in "abc"]
    for kind, expected in zip("abc", each, strict=True):
        assert value_of(name, "kinds", **{"class": kind}) == pytest.approx(expected)
    assert value_of(name, "kinds") == pytest.approx(statistics.fmean(each))


def test_contract_ARi_11_aggregates_beyond_the_document(value_of):
    found = _temperatures()
    assert value_of("sum", property="temperature") == pytest.approx(math.fsum(found))
    assert value_of("avgAbs", property="temperature") == pytest.approx(
        statistics.fmean(map(abs, found))
    )
    spread = statistics.variance(found)
    assert value_of("variance", property="temperature") == pytest.approx(spread)
    quarter = statistics.quantiles(found, n=4, method="inclusive")[0]
    assert value_of("quantile", property="temperature", q=0.25) == pytest.approx(quarter)
    warm = value_of("rate", property="temperature", comparator="gt", value=40)
    assert warm == pytest.approx(statistics.fmean(each > 40 for each in found))


def test_contract_ARi_12_mae_takes_aggregation_and_normalization(value_of):
    errors = [abs(y - p) for y, p in _priced()]
    assert value_of("mae", "prices", aggregation="max") == pytest.approx(max(errors))
    assert value_of("mae", "prices", aggregation="min") == pytest.approx(min(errors))
    scaled = value_of("mae", "prices", normalizationMin=0, normalizationMax=2_000)
    assert scaled == pytest.approx(statistics.fmean(errors) / 2_000)


# ---- pages, bounds, refusals -----------------------------------------------------------------


def _rows(http, query, **parameters):
    answer = http.post("/models/loans/inferences/query", json=query, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()["query_result"]


def test_law_pages_put_together_are_the_whole_answer(http):
    query = {"select": [{"property": "inference_id"}]}
    pages = [_rows(http, query, page=number, page_size=70) for number in range(1, 4)]
    assert [row for page in pages for row in page] == _rows(http, query)
    assert len(pages[0]) == 70
    cut = [_rows(http, query | {"limit": 70, "offset": 70 * i}) for i in range(3)]
    assert cut == pages
    answer = http.post(
        "/models/loans/inferences/query?page=1&page_size=5", json=query | {"limit": 3}
    )
    assert answer.status_code == 400


def test_golden_one_inference_by_its_id(http):
    answer = http.get("/api/v3/models/loans/inferences/query/loan-3")
    assert answer.status_code == 200
    (row,) = answer.json()["query_result"]
    assert (row["inference_id"], row["AGE"]) == ("loan-3", LOANS[3]["AGE"])
    answer = http.get("/api/v3/models/loans/inferences/query/loan-x")
    assert answer.status_code == 404


def test_error_too_large_an_answer_names_limit_and_offset(http):
    for query in (
        {"select": [{"property": "AGE"}], "limit": 10_001},
        {"select": [{"function": "count"}], "subquery": {"select": [{"property": "AGE"}]}},
    ):
        answer = http.post("/models/loans/inferences/query", json=query)
        assert answer.status_code == 400
        assert "limit" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"3", b'"x"', b"{", b"\xff", b'{"select": "\\ud800"}', b'{"select": []}',
     b'{"select": [{"function": "count"}], "frm": 1}',
     b'{"select": [{"function": "avg", "parameters": {"property": "a\\u0000b"}}]}',
     b'{"select": [{"function": "count"}], "limit": 1e400}',
     b'{"select": [{"function": "count"}], "limit": 99999999999999999999999}',
     b'{"select": [{"function": "count"}], "disable_auto_sample": 3}',
     b"[" * 5_000],
)  # fmt: skip
def test_error_bad_bodies_are_refused(body, http):
    answer = http.post("/api/v3/models/loans/inferences/query", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_error_what_one_may_not_see_is_not_there(http, served):
    unknown = http.post("/models/nobody/inferences/query", json=COUNT)
    assert unknown.status_code == 404
    with served.http(headers={"X-Api-Key": "wrong" * 5}) as other:
        answer = other.post("/models/loans/inferences/query", json=COUNT)
    assert answer.status_code == 401


def test_error_a_query_that_is_stopped_says_why(served):
    def broken():
        msg = "the query failed: INTERRUPT Error: Interrupted!"
        raise QueryError(msg)

    cursor = served.session.readers().cursor()
    for stopped, told in ((True, "within 30 s"), (False, "INTERRUPT")):
        asking = Asking(cursor, list, lambda stopped=stopped: stopped, lambda: None)
        with pytest.raises(QueryError, match=told):
            within_time(asking, broken)
    cursor.close()
