"""Data folders with hand-filled results of anomaly jobs, for the tests of what shows them."""

import json

import duckdb
import numpy as np
import pyarrow as pa

from connectors.store import Store

SPAN_S = 900
START_S = 1_767_571_200  # 2026-01-05T00:00:00Z, a Monday


class Results:
    """Fills an open store; a context manager that commits at its end."""

    def __init__(self, folder, job="requests", span_s=SPAN_S):
        self.folder, self.job, self.span_s = folder, job, span_s

    def __enter__(self):
        self.store = Store(self.folder)
        self.store.begin()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.store.commit()
        self.store.close()

    def insert(self, relation, columns):
        self.store.cursor.register("given", pa.table(columns))
        self.store.cursor.execute(f"INSERT INTO {relation} BY NAME SELECT * FROM given")
        self.store.cursor.unregister("given")

    def key(self, starts_s):
        count = len(starts_s)
        return {
            "job_id": [self.job] * count,
            "timestamp": pa.array(np.asarray(starts_s, np.int64) * 1_000_000, pa.timestamp("us")),
            "span_s": [self.span_s] * count,
        }

    def declare(self, detectors=({"function": "count"},), influencers=(), status="running"):
        self.store.cursor.execute(
            "INSERT INTO anomaly_jobs_known BY NAME SELECT $job AS job_id, 'shop' AS model_id,"
            " $span AS span_s, []::VARCHAR[] AS groups, $detectors AS detectors,"
            " $influencers::VARCHAR[] AS influencers, 'event' AS time_basis, 0 AS latency_us,"
            " $span AS frequency_s, 'standard' AS normalizer, 0 AS renormalization_window_s,"
            " 10800 AS snapshot_s, 864000 AS snapshot_retention_s,"
            " 86400 AS daily_snapshot_after_s, true AS enabled, '' AS definition,"
            " true AS in_force",
            {
                "job": self.job,
                "span": self.span_s,
                "detectors": json.dumps(detectors),
                "influencers": list(influencers),
            },
        )
        self.store.cursor.execute(
            "INSERT INTO anomaly_counters BY NAME SELECT $job AS job_id, $status AS status,"
            " 1234 AS processed_record_count, 5 AS out_of_order_timestamp_count,"
            " 0 AS missing_field_count, 99 AS bucket_count, 1 AS empty_bucket_count,"
            " 0 AS sparse_bucket_count, 1 AS series_count, 0 AS unmodelled_entity_count,"
            " 512 AS memory_bytes, 'ok' AS memory_status",
            {"job": self.job, "status": status},
        )

    def buckets(self, starts_s, scores, *, interim=False):
        count = len(starts_s)
        self.insert(
            "bucket_results",
            {
                **self.key(starts_s),
                "score": np.asarray(scores, float),
                "initial_score": np.asarray(scores, float),
                "event_count": [10] * count,
                "late_event_count": [0] * count,
                "scheduled_events": pa.array([[]] * count, pa.list_(pa.string())),
                "processing_time_ms": [0.1] * count,
                "is_interim": [interim] * count,
            },
        )

    def influencers(self, field, value, starts_s, scores):
        count = len(starts_s)
        self.insert(
            "influencer_results",
            {
                **self.key(starts_s),
                "field_name": [field] * count,
                "field_value": [value] * count,
                **self._scores(scores),
            },
        )

    def records(self, starts_s, scores, *, interim=False, **more):
        """Of one series; `more`: any further column, a value for all or a list."""
        count = len(starts_s)
        columns = {
            **self.key(starts_s),
            "detector_index": 0,
            "function": "count",
            "function_description": "count",
            "actual": 100.0,
            "typical": 20.0,
            "lower": 10.0,
            "upper": 30.0,
            "multi_bucket_impact": 0.0,
            **self._scores(scores, interim=interim),
            **more,
        }
        self.insert("record_results", {n: _column(v, count) for n, v in columns.items()})

    def _scores(self, scores, *, interim=False):
        count = len(scores)
        return {
            "score": np.asarray(scores, float),
            "initial_score": np.asarray(scores, float),
            "raw_score": np.asarray(scores, float),
            "probability": [1e-9] * count,
            "scope": [0] * count,
            "ceiling": pa.array([0] * count, pa.uint8()),
            "is_interim": [interim] * count,
        }

    def line(self, starts_s, actual, **more):
        """Every bucket of one series, in the relation of expected bands."""
        count = len(starts_s)
        columns = {
            **self.key(starts_s),
            "is_interim": False,
            "detector_index": 0,
            "function": "count",
            "actual": np.asarray(actual, float),
            "typical": 20.0,
            "lower": 10.0,
            "upper": 30.0,
            **more,
        }
        self.insert("model_plot", {n: _column(v, count) for n, v in columns.items()})


def _column(value, count):
    whole = isinstance(value, list | np.ndarray | pa.Array)
    return value if whole else [value] * count


def starts(count, first=0, span_s=SPAN_S):
    return [START_S + (first + place) * span_s for place in range(count)]


def rows(data, sql):
    with duckdb.connect(str(data / "bellwether.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def shop(folder, job="requests"):
    """A whole job: a daily season in requests, four incidents, some influencers."""
    random = np.random.default_rng(5)
    count = 10 * 86_400 // SPAN_S
    at = np.arange(count)
    season = 200 + 120 * np.sin(2 * np.pi * (at % 96) / 96 - 1.3)
    actual = np.rint(season + random.normal(0, 9, count))
    hits = {300: (520.0, 91.0), 301: (430.0, 78.0), 470: (40.0, 61.0), 640: (330.0, 38.0)}
    hits |= {700: (260.0, 12.0), count - 1: (60.0, 55.0)}
    scores = np.where(random.random(count) < 0.04, random.uniform(0.2, 9, count), 0.0)
    for place, (value, score) in hits.items():
        actual[place], scores[place] = value, score
    every, places = starts(count), [*hits]
    width = 30 + 40 * np.exp(-at / 60)
    with Results(folder, job) as results:
        results.declare(influencers=["city", "device"])
        results.buckets(every[:-1], scores[:-1])
        results.buckets(every[-1:], scores[-1:], interim=True)
        results.line(every, actual, typical=season, lower=season - width, upper=season + width)
        for chosen, interim in ((places[:-1], False), (places[-1:], True)):
            results.records(
                [every[place] for place in chosen],
                [hits[place][1] for place in chosen],
                interim=interim,
                actual=[hits[place][0] for place in chosen],
                typical=season[chosen],
                lower=season[chosen] - 30,
                upper=season[chosen] + 30,
            )
        _influencers(results, random, every, places)
    return len(hits)


def _influencers(results, random, every, places):
    cities = ["Berlin", "Paris", "São Paulo", "Cluj-Napoca", "Llanfairpwllgwyngyllgogerychwyrn"]
    for number, city in enumerate(cities):
        some = sorted(random.choice(len(every), 30, replace=False).tolist())
        results.influencers("city", city, [every[one] for one in some], random.uniform(1, 30, 30))
        results.influencers("city", city, [every[places[number]] + 4500], [95.0 - 20 * number])
    for device in ("phone", "tablet", "desk"):
        some = sorted(random.choice(len(every), 12, replace=False).tolist())
        results.influencers(
            "device", device, [every[one] for one in some], random.uniform(1, 60, 12)
        )
