"""Drift queries over HTTP against their definitions, computed here with numpy and scipy.

Smoothing is the one of `engine.drift`, written out once more: half an event in every bin that is
not empty on both sides, the base scaled to the size of the target.
"""

import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from arthur_rows import CONFIG, events_of, iso, loans, reference_of
from serving import serving

LOANS = loans()
REFERENCE = [
    row | {"temperature": None if row["temperature"] is None else row["temperature"] - 12}
    for row in loans(240)[40:]
]
DRIFT = "/api/v3/models/loans/inferences/query/data_drift"
BOSTON = [{"property": "city", "comparator": "eq", "value": "Boston"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("drift"), CONFIG) as found:
        found.post_events(reference_of(REFERENCE))
        found.post_events(events_of("loans", LOANS))
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("viewer") as client:
        yield client


@pytest.fixture
def drift(http):
    def ask(path=DRIFT, **query):
        answer = http.post(path, json=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["query_result"]

    return ask


# ---- by definition -----------------------------------------------------------------------------


def _counts(name, rows, num_bins=None, base=REFERENCE):
    """Rows by bin: categories, or [quantile, next) of the base; missing ones last."""
    if num_bins is None:
        order = sorted({row[name] for row in base} - {None})
        counted = Counter(row[name] for row in rows)
        return np.array([*(counted[each] for each in order), counted[None]], float)
    known = sorted(row[name] for row in base if row[name] is not None)
    edges = [known[i * len(known) // num_bins] for i in range(1, num_bins)]
    found = [row[name] for row in rows]
    bins = np.searchsorted(edges, [each for each in found if each is not None], side="right")
    return np.append(np.bincount(bins, minlength=num_bins), found.count(None)).astype(float)


def _shares(base, target):
    used = (base > 0) | (target > 0)
    size, half = target.sum(), used / 2
    total = size + half.sum()
    return ((base * size / base.sum() + half) / total)[used], ((target + half) / total)[used]


def _kl(p, q):
    return float(np.sum(q * np.log(q / p)))


MEASURES = {
    "PSI": lambda p, q: float(np.sum((q - p) * np.log(q / p))),
    "KLDivergence": _kl,
    "JSDivergence": lambda p, q: _kl((p + q) / 2, q) / 2 + _kl((p + q) / 2, p) / 2,
    "HellingerDistance": lambda p, q: math.sqrt(np.sum((np.sqrt(q) - np.sqrt(p)) ** 2) / 2),
}


def _expected(measure, name, num_bins=None, rows=LOANS, base=REFERENCE):
    counted = (_counts(name, each, num_bins, base) for each in (base, rows))
    return pytest.approx(MEASURES[measure](*_shares(*counted)), rel=1e-9)


def _measured(drift, measure):
    found = drift(properties=["city", "temperature"], metric=measure, num_bins=10)
    assert found == [
        {"city": _expected(measure, "city"), "temperature": _expected(measure, "temperature", 10)}
    ]


def test_contract_AR_F24_psi(drift):
    _measured(drift, "PSI")


def test_contract_AR_F25_kullback_leibler(drift):
    _measured(drift, "KLDivergence")


def test_contract_AR_F26_jensen_shannon(drift):
    _measured(drift, "JSDivergence")


def test_contract_AR_F27_hellinger(drift):
    _measured(drift, "HellingerDistance")


def test_contract_AR_F28_hypothesis_test(drift):
    found = drift(properties=["city", "temperature"], metric="HypothesisTest")
    table = np.array([_counts("city", REFERENCE), _counts("city", LOANS)])
    chi2 = scipy.stats.chi2_contingency(table, correction=False).pvalue
    sides = [
        [row["temperature"] for row in rows if row["temperature"] is not None]
        for rows in (REFERENCE, LOANS)
    ]
    smirnov = scipy.stats.ks_2samp(*sides, method="asymp").pvalue
    assert found == [
        {
            "city": pytest.approx(-math.log10(chi2), rel=1e-9),
            "temperature": pytest.approx(-math.log10(smirnov), rel=1e-9),
        }
    ]


def test_contract_AR_F29_text_drift_is_refused_clearly(http):
    query = {"properties": ["city"], "metric": "NLPDataDrift"}
    answer = http.post(DRIFT, json=query)
    assert answer.status_code == 400
    assert "NLPDataDrift: text models are not supported" in answer.json()["error"]


# ---- the document's query ----------------------------------------------------------------------

DOCUMENT = {
    "properties": ["temperature"],
    "num_bins": 20,
    "base": {"source": "reference"},
    "target": {"source": "inference", "filter": BOSTON},
}


def test_contract_AR_63_the_documents_query_is_psi(drift):
    boston = [row for row in LOANS if row["city"] == "Boston"]
    expected = [{"temperature": _expected("PSI", "temperature", 20, boston)}]
    assert drift(**DOCUMENT) == expected
    assert drift(**DOCUMENT, metric="PSI") == expected


def test_contract_AR_64_psi_by_city_on_every_path(drift):
    expected = drift(**DOCUMENT)
    for prefix in ("", "/api/v3", "/api/v4"):
        for path in ("inference/data_drift", "inferences/data_drift", "inference/query/data_drift"):
            assert drift(f"{prefix}/models/loans/{path}", **DOCUMENT) == expected


def test_contract_ARi_14_filters_groups_rollups_and_ground_truth(drift):
    sides = {"base": {"source": "reference", "filter": BOSTON}, "target": {"source": "inference"}}
    boston = [row for row in REFERENCE if row["city"] == "Boston"]
    found = drift(properties=["AGE"], **sides)
    assert found == [{"AGE": _expected("PSI", "AGE", 10, base=boston)}]
    found = drift(properties=["temperature"], group_by=[{"property": "city"}])
    assert [row["city"] for row in found] == ["Boston", "Oslo", "boston", None]
    for row in found:
        base, target = (
            [each for each in rows if each["city"] == row["city"]] for rows in (REFERENCE, LOANS)
        )
        assert row["temperature"] == _expected("PSI", "temperature", 10, target, base)
    found = drift(properties=["temperature"], rollup="hour")
    hours = {iso(row["ms"] // 3_600_000 * 3_600_000) for row in LOANS}
    assert [row["rollup"] for row in found] == sorted(hours)
    for row in found:
        target = [each for each in LOANS if iso(each["ms"]).startswith(row["rollup"][:13])]
        assert row["temperature"] == _expected("PSI", "temperature", 10, target)
    labelled = [row for row in LOANS if row["label"] is not None]
    found = drift(properties=["AGE"], target={"source": "ground_truth"})
    assert found == [{"AGE": _expected("PSI", "AGE", 10, labelled)}]
    batches = drift(properties=["AGE"], rollup="batch_id")
    assert [row["rollup"] for row in batches] == ["b0", "b1", "b2"]


def test_contract_ARi_14_at_most_100_properties(http):
    answer = http.post(DRIFT, json={"properties": [f"p{i}" for i in range(101)]})
    assert answer.status_code == 400
    assert "a list of 1 to 100 properties" in answer.json()["error"]


def test_contract_ARi_15_hypothesis_test_grows_with_drift(drift):
    where = [{"property": "temperature", "comparator": "gt", "value": 45}]
    far = drift(
        properties=["temperature"],
        metric="HypothesisTest",
        target={"source": "inference", "filter": where},
    )
    (near,) = drift(properties=["temperature"], metric="HypothesisTest")
    assert far[0]["temperature"] > near["temperature"] > 1


def test_contract_ARi_16_buckets_explain_a_psi(drift):
    path = f"{DRIFT}_psi_bucket_calculation_table"
    sides = {"base": {"source": "reference"}, "target": {"source": "inference"}}
    for name, num_bins in (("city", None), ("temperature", 5)):
        query = {"property": name, **sides} | ({"num_bins": num_bins} if num_bins else {})
        rows = drift(path, **query)
        base, target = (_counts(name, each, num_bins) for each in (REFERENCE, LOANS))
        used = [
            row for row in rows if row["base_count_per_bucket"] or row["target_count_per_bucket"]
        ]
        pairs = [(row["base_count_per_bucket"], row["target_count_per_bucket"]) for row in used]
        assert sorted(pairs) == sorted((b, t) for b, t in zip(base, target, strict=True) if b or t)
        assert {(row["base_total"], row["target_total"]) for row in rows} == {(200, 300)}
        for row in used:
            assert row["psi"] == pytest.approx(
                row["probability_difference"] * row["ln_probability_difference"]
            )
            assert row["ln_probability_difference"] == pytest.approx(
                row["target_ln_probability_per_bucket"] - row["base_ln_probability_per_bucket"]
            )
        (whole,) = drift(properties=[name], num_bins=num_bins or 10)
        assert sum(row["psi"] for row in rows) == pytest.approx(whole[name])
    edges = [(row["base_bucket_min"], row["target_bucket_max"]) for row in used]
    assert edges[0][0] is None
    assert [high for _, high in edges[:4]] == [low for low, _ in edges[1:5]]
    grouped = drift(path, property="AGE", group_by=[{"property": "city"}], rollup="day", **sides)
    assert {row["group_by_property"] for row in grouped} == {"Boston", "Oslo", "boston", None}
    assert {row["rollup"] for row in grouped} == {"2026-01-05T00:00:00Z"}


def test_contract_ARi_17_what_never_moved_has_no_drift(drift):
    same = {"base": {"source": "reference"}, "target": {"source": "reference"}}
    for measure in MEASURES:
        (found,) = drift(properties=["city", "temperature"], metric=measure, **same)
        assert found == {
            "city": pytest.approx(0, abs=1e-9),
            "temperature": pytest.approx(0, abs=1e-9),
        }


def test_contract_ARi_18_thresholds_say_how_far_chance_goes(drift):
    (found,) = drift(properties=["temperature", "city"], metric="Thresholds")
    assert 0 < found["city"] < 2
    assert 0 < found["temperature"] < 2
    assert drift(properties=["temperature", "city"], metric="Thresholds") == [found]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"properties": []}, "query.properties"),
        ({"properties": ["tempratur"]}, 'did you mean "temperature"'),
        ({"properties": ["AGE"], "metric": "Psi"}, "query.metric"),
        ({"properties": ["AGE"], "rollup": "week"}, "query.rollup"),
        ({"properties": ["AGE"], "num_bins": 1}, "query.num_bins"),
        ({"properties": ["AGE"], "base": {"source": "moon"}}, "query.base.source"),
        ({"properties": ["AGE"], "extra": 1}, "extra"),
    ],
)
def test_error_faults_are_told_with_their_places(query, told, http):
    answer = http.post(DRIFT, json=query)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


def test_error_table_takes_property_or_properties(http):
    path = f"{DRIFT}_psi_bucket_calculation_table"
    answer = http.post(path, json={"property": "AGE", "properties": ["AGE"]})
    assert answer.status_code == 400
    assert http.post(path, json={}).status_code == 400
