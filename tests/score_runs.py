"""Buckets with scores over time, run through the rules on scores, and what came of it."""

import numpy as np

from engine.anomaly.alerts.alerts import ScoredBucket, ScoreRules
from engine.anomaly.results.result_rows import BucketRows, Influencers, Records
from engine.config import AnomalyJobSettings, AnomalyRuleSettings, DetectorSettings, Settings
from engine.rules.alerting import Lines

SPAN_S = 300
SECOND_US = 1_000_000

DETECTORS = (
    DetectorSettings("low_count", by_field_name="fields.city"),
    DetectorSettings("mean", "fields.price", partition_field_name="fields.shop"),
)


def job_of(job_id, model=None, **more):
    return AnomalyJobSettings(
        job_id,
        DETECTORS,
        model=model,
        type="metric",
        bucket_span_s=SPAN_S,
        influencers=("fields.city", "fields.shop"),
        **more,
    )


def settings_of(*rules):
    return Settings(
        anomaly_jobs=(job_of("sales", "shop"), job_of("stock")), anomaly_rules=tuple(rules)
    )


def rule_of(**more):
    return AnomalyRuleSettings(**{"anomaly_job": "sales", "name": "Odd", **more})


def influencers_of(rows):
    """Influencers of (field, value, score)."""
    return Influencers(
        score=np.array([row[2] for row in rows], np.float64),
        field_name=[row[0] for row in rows],
        field_value=[row[1] for row in rows],
    )


def records_of(rows):
    """Records of (detector, name of the series, actual, typical, score)."""
    own = [DETECTORS[row[0]] for row in rows]
    return Records(
        score=np.array([row[4] for row in rows], np.float64),
        scope=np.arange(len(rows)),
        detector_index=np.array([row[0] for row in rows], np.int64),
        function=[each.function for each in own],
        function_description=[each.function.removeprefix("low_") for each in own],
        field_name=[each.field_name for each in own],
        by_field_name=[each.by_field_name for each in own],
        by_field_value=[row[1] if row[0] == 0 else None for row in rows],
        over_field_name=[None] * len(rows),
        over_field_value=[None] * len(rows),
        partition_field_name=[each.partition_field_name for each in own],
        partition_field_value=[row[1] if row[0] == 1 else None for row in rows],
        actual=np.array([row[2] for row in rows], np.float64),
        typical=np.array([row[3] for row in rows], np.float64),
    )


def bucket_of(start_s, score, *, closed_us=None, job_id="sales", interim=False, **results):
    rows = BucketRows(
        job_id,
        start_s,
        SPAN_S,
        score,
        10,
        is_interim=interim,
        influencers=influencers_of(results.get("influencers", [])),
        records=records_of(results.get("records", [])),
    )
    end_us = (start_s + SPAN_S) * SECOND_US
    return ScoredBucket(rows, end_us if closed_us is None else closed_us)


def opened(store, settings, watermark_us=0):
    """Give rules as a run has them that begins, or goes on."""
    rules = ScoreRules(store, settings)
    rules.declare(watermark_us)
    return rules


def timeline(rng, count, *, latency_s, frequency_s):
    """Give looks at buckets of both jobs, as a run would have them, in order."""
    found = []
    for start_s in range(0, count * SPAN_S, SPAN_S):
        end_us = (start_s + SPAN_S) * SECOND_US
        closed_us = end_us + latency_s * SECOND_US
        first = start_s - start_s % frequency_s + frequency_s
        looks = [at * SECOND_US for at in range(first, start_s + SPAN_S + latency_s, frequency_s)]
        for job_id in ("sales", "stock"):
            for at_us in [at for at in looks if at < closed_us]:
                results = random_results(rng)
                found.append(
                    bucket_of(start_s, closed_us=at_us, job_id=job_id, interim=True, **results)
                )
            results = random_results(rng)
            found.append(bucket_of(start_s, closed_us=closed_us, job_id=job_id, **results))
    return sorted(found, key=lambda each: (each.closed_us, each.rows.start_s))


def random_results(rng):
    loud = rng.random() < 0.4

    def score():
        return float(np.round(rng.choice([70.0, 75.0, 80.0, 90.0]) if loud else rng.random() * 60))

    influencers = [
        (str(field), f"v{rng.integers(4)}", score())
        for field in rng.choice(["fields.city", "fields.shop"], rng.integers(3))
    ]
    records = [
        (int(rng.integers(2)), f"v{n}", float(rng.integers(9)), 5.0, score())
        for n in range(rng.integers(3))
    ]
    return {"score": score(), "influencers": influencers, "records": records}


def watched(store, settings, looks, arrival_us, blocks, *, reopened):
    """Run looks through rules, block of lines by block; now and then the rules are made anew."""
    rules, at, first = None, 0, 0
    given = []
    for size in blocks:
        lines = Lines(first, arrival_us[first : first + size])
        store.execute("BEGIN")
        if rules is None or reopened():
            rules = opened(store, settings, None)
        seen = [each for each in looks[at:] if each.closed_us <= lines.arrival_us[-1]]
        alerts = rules.evaluate(seen, lines, first + size)
        given += alerts.to_pylist()
        store.execute("COMMIT")
        at, first = at + len(seen), first + size
    return given


def left(store):
    """Give what is in the store of rules on scores, in an order of its own."""
    return {
        table: sorted(store.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
        for table in ("alerts_log", "evaluations_log", "score_looks")
    }
