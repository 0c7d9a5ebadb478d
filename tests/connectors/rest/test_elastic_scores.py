"""How scores come about, over HTTP: from real streams to what clients are told, reckoned anew.

Probabilities are the models' own; raw scores and scores are computed again here from what is
served, by the formulas that the contract names, over plain lists of all hours.
"""

import math
from datetime import UTC, datetime
from itertools import pairwise

import elastic_shop
import pytest
from elastic_runs import ROOT, error_of
from elastic_shop import HOURS, MASSIVE, MODERATE, SHIFT, SILENT, SPAN_S, START_S
from serving import serving

KNOTS = {0: 0, 70: 1, 85: 1.2, 90: 1.5, 95: 3, 97: 20, 99: 50, 99.9: 90, 100: 100}
JOBS = ("prices", "forgetful", "visits", "spikes")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("run"), elastic_shop.CONFIG) as found:
        found.post_events(elastic_shop.stream())
        found.post_events([visit(HOURS, 1_800)])
        yield found


def visit(hour, second):
    event = {"model_id": "shop", "id": f"{hour}-{second}", "prediction": "leave"}
    return event | {"timestamp": (START_S + hour * SPAN_S + second) * 1_000}


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


def results(http, job_id, kind):
    body = {"page": {"size": 1_000}}
    answer = http.post(f"{ROOT}/{job_id}/results/{kind}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()[kind]


def hour_of(result):
    return (result["timestamp"] // 1_000 - START_S) // SPAN_S


@pytest.fixture(scope="module")
def buckets(http):
    """The buckets of each job by hour, before anything came after the stream."""
    found = {job: {hour_of(each): each for each in results(http, job, "buckets")} for job in JOBS}
    assert all(list(each) == list(range(HOURS + 1)) for each in found.values())
    return found


@pytest.fixture(scope="module")
def records(http):
    """The records of each job by hour, all of one detector and one series."""
    return {job: {hour_of(each): each for each in results(http, job, "records")} for job in JOBS}


# ---- reckoned anew ---------------------------------------------------------------------------


def raw_of(p):
    if p >= 0.05:
        return 0.0
    if p >= 1e-4:
        return (1 / p - 20) / (10_000 - 20)
    low = -math.log(1e-4)
    assert p >= 1e-50
    return 1 + 49 * (-math.log(p) - low) / (-math.log(1e-50) - low)


def of_probability(p):
    if p >= 0.05:
        return 0.0
    share = (math.log(p) - math.log(0.05)) / (math.log(1e-4) - math.log(0.05))
    return 100 * min(0.05 + 0.95 * share, 1)


def of_quantile(share):
    ends = list(KNOTS)
    for low, high in pairwise(ends):
        if share <= high:
            return KNOTS[low] + (KNOTS[high] - KNOTS[low]) * (share - low) / (high - low)
    return 100.0


def score_of(p, past, now):
    """The least of four ceilings; `past` has the probability of every hour until now."""
    if raw_of(p) == 0:
        return 0.0
    level = math.floor(1_000 * raw_of(p))
    weights = [math.exp(-0.001 * (now - hour) / 24) for hour in range(len(past))]
    levels = [math.floor(1_000 * raw_of(each)) for each in past]
    total = math.fsum(weights)

    def share(inside):
        return math.fsum(w for w, each in zip(weights, levels, strict=True) if inside(each)) / total

    below, until = share(lambda each: each < level), share(lambda each: each <= level)
    quantile = (of_quantile(100 * below) + of_quantile(100 * min(until, 1))) / 2
    largest = max(
        raw_of(each) * math.exp(-0.02 * (now - hour) / 24) for hour, each in enumerate(past)
    )
    ratio = raw_of(p) / largest
    maximum = 100 * min(1.5 * ratio, 0.5 + 0.5 * ratio)
    median = next(each for each in sorted(levels) if share(lambda x, each=each: x <= each) >= 0.5)
    quiet = share(lambda each: each <= 0)
    noise = max(1 + 10 * (level - median) / 1_000, 0) + 100 * max(2 * min(2 * quiet, 1) - 1, 0)
    return min(of_probability(p), quantile, maximum, noise, 100)


def final_scores(past, window):
    """Of every hour, after new maxima have moved the scores of so many hours before them."""
    scores, largest = [], 0.0
    for now, p in enumerate(past):
        before = largest * math.exp(-0.02 / 24)
        largest = max(before, raw_of(p))
        moved = range(max(now - window, 0), now) if largest > 1.1 * before > 0 else ()
        for hour in moved:
            scores[hour] = score_of(past[hour], past[: now + 1], now)
        scores.append(score_of(p, past[: now + 1], now))
    return scores


def probabilities(buckets):
    """Of each closed hour as a whole."""
    return [buckets[hour]["bucket_influencers"][0]["probability"] for hour in range(HOURS)]


def test_contract_ELi_01_raw_scores_follow_from_probabilities(buckets):
    found = [
        (each["raw_anomaly_score"], raw_of(each["probability"]))
        for job in JOBS
        for bucket in buckets[job].values()
        for each in bucket["bucket_influencers"]
    ]
    assert len(found) > len(JOBS) * HOURS
    for raw, wanted in found:
        assert raw == pytest.approx(wanted, rel=1e-12, abs=1e-14)
    pieces = {0 if raw == 0 else 1 if raw < 1 else 2 for raw, _ in found}
    assert pieces == {0, 1, 2}


@pytest.mark.parametrize("job", ["prices", "spikes"])
def test_contract_ELi_02_a_score_is_the_least_of_four_ceilings(job, buckets):
    past = probabilities(buckets[job])
    for hour, p in enumerate(past):
        found = buckets[job][hour]["initial_anomaly_score"]
        assert found == pytest.approx(score_of(p, past[: hour + 1], hour), rel=1e-9), hour
    assert sum(raw_of(p) > 0 for p in past) >= 4


def test_contract_ELi_03_a_new_maximum_moves_older_scores_and_no_initial_one(buckets):
    past = probabilities(buckets["prices"])[: MASSIVE + 1]
    assert max(map(raw_of, past)) == raw_of(past[MASSIVE]) > 1.1 * raw_of(past[MODERATE])
    for hour in (MODERATE, SHIFT[-1]):
        bucket = buckets["prices"][hour]
        assert bucket["anomaly_score"] == pytest.approx(score_of(past[hour], past, MASSIVE))
        assert bucket["anomaly_score"] < bucket["initial_anomaly_score"] - 5
        first = pytest.approx(score_of(past[hour], past[: hour + 1], hour))
        assert bucket["initial_anomaly_score"] == first


def test_contract_ELi_04_scores_before_the_window_stay(buckets, http):
    """100 hours back is within 30 days, which is the default, and not within one."""
    past = probabilities(buckets["prices"])
    for job, window in (("prices", 30 * 24), ("forgetful", 24)):
        found = [buckets[job][hour]["anomaly_score"] for hour in range(HOURS)]
        assert found == pytest.approx(final_scores(past, window), rel=1e-9)
    long, short = (buckets[job][MODERATE] for job in ("prices", "forgetful"))
    assert initial(long) == initial(short) == short["anomaly_score"] > long["anomaly_score"]
    told = http.get(f"{ROOT}/forgetful").json()["jobs"][0]
    assert told["renormalization_window_days"] == 1


def initial(result):
    return result["initial_anomaly_score"]


def test_contract_ELi_05_high_scores_stay_rare_however_many_hours_are_unlikely(buckets):
    """By percentiles 20 is for three hours in a hundred, and 50 for one; alone each had more."""
    past = probabilities(buckets["spikes"])
    alone = [of_probability(p) for p in past]
    scores = [buckets["spikes"][hour]["anomaly_score"] for hour in range(HOURS)]
    for least, share in ((20, 0.03), (50, 0.01)):
        high, unlikely = (sum(each >= least for each in found) for found in (scores, alone))
        assert 0 < high <= share * HOURS
        assert unlikely >= 2 * high
    assert all(score <= own for score, own in zip(scores, alone, strict=True))


def test_contract_ELi_06_the_impact_of_several_buckets(records):
    found = [each for of_job in records.values() for each in of_job.values()]
    for each in found:
        impact, told = each["multi_bucket_impact"], each["anomaly_score_explanation"]
        assert -5 <= impact <= 5
        assert impact == round(impact, 2)
        if abs(impact) > 1:
            alone, together = (told[f"{name}_bucket_probability"] for name in ("single", "multi"))
            assert (impact > 0) == (together < alone)
    assert records["prices"][SHIFT[-1]]["multi_bucket_impact"] > 1  # twelve hours a little high
    assert records["prices"][MASSIVE]["multi_bucket_impact"] < -1  # one hour far too high


def test_contract_ELi_08_what_a_score_is_made_of(records):
    told = {job: records[job] for job in ("visits", "spikes")}
    silent = told["visits"][SILENT]["anomaly_score_explanation"]
    assert (silent["anomaly_type"], silent["anomaly_length"]) == ("dip", 1)
    assert silent["single_bucket_probability"] < 1e-2
    penalties = set()
    for each in (record for of_job in told.values() for record in of_job.values()):
        why, (actual,), (typical,) = (
            each[name] for name in ("anomaly_score_explanation", "actual", "typical")
        )
        assert why["typical_value"] == typical
        assert why["anomaly_type"] == ("spike" if actual > typical else "dip")
        band = why["upper_confidence_bound"] - why["lower_confidence_bound"]
        assert why["high_variance_penalty"] == (band > abs(typical))
        assert why["incomplete_bucket_penalty"] == each["is_interim"]
        penalties.add((why["high_variance_penalty"], why["incomplete_bucket_penalty"]))
    assert penalties == {(True, False), (False, False), (False, True)}
    lengths = {each["anomaly_score_explanation"]["anomaly_length"]
               for each in told["visits"].values()}  # fmt: skip
    assert min(lengths) == 1 < max(lengths)


def test_contract_ELi_09_the_city_without_which_the_hour_is_usual(http, buckets):
    at_ms = (START_S + SILENT * SPAN_S) * 1_000
    body = {"start": at_ms, "end": at_ms + 1}
    found = http.post(f"{ROOT}/visits/results/influencers", json=body).json()["influencers"]
    assert [each["influencer_field_value"] for each in found] == ["Rome"]
    assert found[0]["influencer_score"] > 50
    whole, city = buckets["visits"][SILENT]["bucket_influencers"]
    assert (whole["influencer_field_name"], city["influencer_field_value"]) == (
        "bucket_time",
        "Rome",
    )


def test_contract_ELi_11_five_minutes_unless_told_and_fixed_afterwards(http):
    body = {"analysis_config": {"detectors": [{"function": "count"}]}, "data_description": {}}
    made = http.put(f"{ROOT}/spans", json=body).json()
    assert made["analysis_config"]["bucket_span"] == "5m"
    other = {"analysis_config": {**body["analysis_config"], "bucket_span": "1h"}}
    refused = http.post(f"{ROOT}/spans/_update", json=other)
    assert "analysis_config" in error_of(refused, 400)
    again = http.put(f"{ROOT}/spans", json=body | other)
    error_of(again, 400, "resource_already_exists_exception")
    told = http.get(f"{ROOT}/spans").json()["jobs"][0]
    assert told["analysis_config"]["bucket_span"] == "5m"


def test_contract_ELi_12_interim_results_give_way_to_final_ones(served, http, buckets, records):
    """Frequency is half an hour: half of the hour was in when the last bucket was looked at."""
    first = buckets["visits"][HOURS]
    assert first["is_interim"]
    assert records["visits"][HOURS]["is_interim"]
    assert not buckets["visits"][HOURS - 1]["is_interim"]
    served.post_events([visit(HOURS, 1_900), visit(HOURS, 2_900), visit(HOURS + 1, 10)])
    final = {hour_of(each): each for each in results(http, "visits", "buckets")}[HOURS]
    assert (final["is_interim"], final["event_count"]) == (False, 3)
    low, high = (each["bucket_influencers"][0]["probability"] for each in (final, first))
    assert low < high  # so late in the hour, so few are less likely
    record = {hour_of(each): each for each in results(http, "visits", "records")}[HOURS]
    assert (record["is_interim"], record["actual"]) == (False, [3.0])


def test_contract_ELi_20_no_forecast_over_rest(http):
    for method in ("GET", "POST", "DELETE"):
        answer = http.request(method, f"{ROOT}/prices/_forecast")
        assert "_forecast" in error_of(answer, 404, "resource_not_found_exception")
    told = http.get(f"{ROOT}/prices/_stats").json()["jobs"][0]
    assert told["forecasts_stats"] == {"total": 0, "forecasted_jobs": 0}


RULES = {"odd visits": ("visits", 50), "early": ("visits", 50), "prices": ("prices", 75)}


@pytest.mark.parametrize("rule", RULES)
def test_contract_ELi_21_alerts_of_rules_on_scores_are_among_the_others(http, rule, buckets):
    job, threshold = RULES[rule]
    listed = http.get("/api/v3/alerts", params={"model_id": "shop", "sort": "timestamp"}).json()
    found = [each for each in listed["data"] if each["alert_rule"]["name"] == rule]
    odd = [buckets[job][hour] for hour in range(HOURS) if initial(buckets[job][hour]) >= threshold]
    open_one = buckets["visits"][HOURS]
    closed = [each for each in found if each["window_start"] < iso(open_one["timestamp"])]
    assert [(each["window_start"], each["metric_value"]) for each in closed] == [
        (iso(bucket["timestamp"]), initial(bucket)) for bucket in odd
    ]
    assert len(odd) > 0
    assert {each["alert_rule"]["threshold"] for each in found} == {threshold}
    assert {each["severity"] for each in found} == {"critical" if rule == "early" else "warning"}
    values = [each["metric_value"] for each in found]
    assert (initial(open_one) in values) == (rule == "early")  # it alone counts interim results


def iso(ms):
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat().replace("+00:00", "Z")


def test_contract_ELi_23_beyond_the_memory_limit_series_are_counted_not_modelled(http):
    told = http.get(f"{ROOT}/hosts/_stats").json()["jobs"][0]["model_size_stats"]
    limit = elastic_shop.LIMIT_MB << 20
    assert told["total_series_count"] == limit // 9_000
    assert told["unmodelled_entity_count"] == elastic_shop.HOSTS - told["total_series_count"]
    assert told["memory_status"] == "hard_limit"
    assert 0 < told["model_bytes"] <= limit
