"""What the tests of gathering share: weighted rows of random events, and a naive twin of values."""

import json
import math
import random
import statistics
from fractions import Fraction

import duckdb
import numpy as np
import pyarrow as pa

from engine.anomaly.definition import jobs_of
from engine.anomaly.gather.gather import Gathering
from engine.config import AnomalyJobSettings, DetectorSettings, ModelSettings, Settings
from engine.panes import quoted
from engine.query.columns import JsonColumns
from engine.query.names import ModelNames
from engine.rules.reader import read_rows
from engine.rules.rowset import RowColumns

MODEL = ModelSettings("m", classes=("no", "yes"), positive="yes")
US = 1_000_000
TIMES = {"event_time": "TIMESTAMP", "label_time": "TIMESTAMP", "received_time": "TIMESTAMP"}
NUMBERS = ("prediction_number", "label_number", "score", "positive_score")
TEXTS = ("model_id", "event_id", "prediction", "label", "job_id", "batch_id", "bucket_id", "raw")


def job_of(*detectors, own=(), **settings):
    told = AnomalyJobSettings("j", tuple(detectors), model="m", **settings)
    return jobs_of(Settings(models=(MODEL,), metrics=own, anomaly_jobs=(told,)))[0]


def detector(function, **settings):
    return DetectorSettings(function, **settings)


class Feeder:
    """Gives rows, which are dicts, to a gathering in blocks, and closes what is due."""

    def __init__(self, job, limit=1000, cursor=None):
        self.columns = RowColumns()
        self.job = job
        self.gathering = Gathering(job, self.columns, MODEL, limit=limit)
        self.cursor = cursor or duckdb.connect()
        self.next_s = None
        self.late = {}
        self.measured = {}

    def take(self, rows):
        table = self.table(rows)
        self.cursor.register("w_rows", table)
        read = read_rows(self.cursor, table, self.gathering.wanted)
        late = self.gathering.take(read, np.arange(len(rows)))
        for start_s, events in zip(late.start_s.tolist(), late.events.tolist(), strict=True):
            self.late[start_s] = self.late.get(start_s, 0) + events

    def close_until(self, watermark_us):
        job = self.job
        while True:
            first_s = self.gathering.first_s if self.next_s is None else self.next_s
            if first_s is None or (first_s + job.span_s) * US + job.latency_us > watermark_us:
                return
            self.measured[first_s] = self.gathering.close(first_s)
            self.next_s = first_s + job.span_s

    def table(self, rows):
        made = {
            "weight": pa.array([row["weight"] for row in rows], pa.int64()),
            "seq": pa.array([row["seq"] for row in rows], pa.int64()),
            "arrival_us": pa.array([row["arrival_us"] for row in rows], pa.int64()),
            "changed": pa.array([row.get("changed", True) for row in rows]),
            "model_no": pa.array([0] * len(rows), pa.int64()),
        }
        for name in TIMES:
            made[name] = pa.array([row.get(name) for row in rows], pa.int64()).cast(
                pa.timestamp("us")
            )
        for name in NUMBERS:
            made[name] = pa.array([row.get(name) for row in rows], pa.float64())
        for name in TEXTS:
            made[name] = pa.array([row.get(name) for row in rows], pa.string())
        self.cursor.register("x_rows", pa.table(made))
        stored = JsonColumns(ModelNames("m", complete=False))
        extra = [f"{stored.number(n)} AS {quoted('n:' + n)}" for n in self.columns.numbers]
        extra += [f"{stored.text(n)} AS {quoted('t:' + n)}" for n in self.columns.texts]
        return self.cursor.sql(f"SELECT {', '.join(['*', *extra])} FROM x_rows r").to_arrow_table()


def random_events(seed, count, span_s):
    """Give lines in order: (rows with weights, arrival_us), with repeats, corrections, lateness."""
    rng = random.Random(seed)
    rows, live, watermark = [], {}, 0
    for seq in range(count):
        base = seq * span_s // 25
        time_us = int((base + rng.uniform(-2.2, 1) * span_s) * US)
        watermark = max(watermark, time_us - span_s * US // 2)
        again = rng.random() < 0.15 and live
        who = rng.choice(sorted(live)) if again else f"e{seq}"
        if again:
            old = live[who]
            rows.append({**old, "weight": -1, "arrival_us": watermark})
            if rng.random() < 0.2:
                del live[who]
                continue
            time_us = old["event_time"] if rng.random() < 0.5 else time_us
        made = event(rng, who, seq, time_us)
        live[who] = made
        rows.append({**made, "weight": 1, "arrival_us": watermark})
    return rows


def event(rng, who, seq, time_us):
    features = {}
    if rng.random() < 0.9:
        features["x"] = rng.choice([rng.gauss(0, 10), float(rng.randrange(4)), rng.gauss(0, 1e-9)])
    if rng.random() < 0.9:
        features["city"] = rng.choice(["Bonn", "Aix", "Ulm", 7, True])
    if rng.random() < 0.9:
        features["shop"] = rng.choice("abc")
    if rng.random() < 0.8:
        features["user"] = rng.choice(["u1", "u2", "ü3", "u4", "u5"])
    label = rng.choice(["no", "yes", None])
    return {
        "seq": seq,
        "model_id": "m",
        "event_id": who,
        "event_time": time_us,
        "label_time": None if label is None else time_us + rng.randrange(3) * 20 * US,
        "prediction": rng.choice(["no", "yes"]),
        "label": label,
        "score": rng.random(),
        "raw": json.dumps({"model_id": "m", "id": who, "features": features}),
    }


# ---- the naive twin ---------------------------------------------------------------------------


def class_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value is not None else None


def field(row, name):
    """Give the plain value of a field of a row."""
    if name in ("correct", "error"):
        if row["label"] is None or row["prediction"] is None:
            return None
        return float((row["label"] == row["prediction"]) == (name == "correct"))
    if name in row:
        return row[name]
    return json.loads(row["raw"])["features"].get(name)


def number(value):
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def moment_of(row, job):
    if job.time_basis == "label":
        return max(row["event_time"], row["label_time"])
    return row["event_time"]


def bucket_of(row, job):
    return moment_of(row, job) // (job.span_s * US) * job.span_s


def counts_at_all(row, job):
    return job.time_basis != "label" or row["label"] is not None


def netted(rows, job, before_us=None):
    """Give by bucket the rows on time that were not taken back."""
    found = {}
    for row in rows:
        if not counts_at_all(row, job):
            continue
        start_s = bucket_of(row, job)
        if row["arrival_us"] >= (start_s + job.span_s) * US + job.latency_us:
            continue
        if before_us is not None and row["arrival_us"] >= before_us:
            continue
        content = found.setdefault(start_s, {})
        key = json.dumps({**row, "weight": 0, "arrival_us": 0}, sort_keys=True)
        weight, _ = content.get(key, (0, row))
        content[key] = weight + row["weight"], row
    return {
        start_s: [row for weight, row in content.values() for _ in range(weight)]
        for start_s, content in found.items()
    }


def series_rows(rows, told):
    """Give by name (by, over, partition) the rows of a detector that have a value."""
    found = {}
    for row in rows:
        names = (told.by_field_name, told.over_field_name, told.partition_field_name)
        key = tuple(None if n is None else class_text(field(row, n)) for n in names)
        lacking = any(k is None and n is not None for k, n in zip(key, names, strict=True))
        if lacking and not told.use_null:
            continue
        if told.field_name is not None and value_in(row, told) is None:
            continue
        found.setdefault(key, []).append(row)
    return found


def value_in(row, told):
    value = field(row, told.field_name)
    return class_text(value) if told.function.endswith("distinct_count") else number(value)


def value_of(base, detector_, job, rows):
    """Give the value of some rows, at least one."""
    told = detector_.settings
    if base in ("count", "rare", "freq_rare"):
        return float(len(rows))
    if base.startswith("time_of"):
        return circular([moment_of(row, job) for row in rows], base)
    values = [value_in(row, told) for row in rows]
    if base == "distinct_count":
        return float(len(set(values)))
    exact = [Fraction(value) for value in values if base in ("sum", "mean", "varp")]
    return {
        "sum": lambda: float(sum(exact)),
        "mean": lambda: float(sum(exact) / len(exact)),
        "varp": lambda: float(sum((x - sum(exact) / len(exact)) ** 2 for x in exact) / len(exact)),
        "median": lambda: statistics.median(values),
        "min": lambda: min(values),
        "max": lambda: max(values),
    }[base]()


def circular(times, base):
    period = 86_400 if base == "time_of_day" else 604_800
    seconds = [(us // US - 4 * 86_400) % period for us in times]
    turns = [2 * math.pi * s / period for s in seconds]
    sine, cosine = math.fsum(map(math.sin, turns)), math.fsum(map(math.cos, turns))
    return math.atan2(sine, cosine) / (2 * math.pi) % 1.0 * period
