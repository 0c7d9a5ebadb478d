"""Runs and ingests taken block by block, and what plain Python makes of the distinct events."""

import hashlib
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from engine.batch import Block
from engine.decode import Decoder, canonical
from engine.processing.processing import Processing
from engine.processing.processing_views import PROCESSING_VIEWS
from engine.rows import make_tables
from engine.seen import Seen

RUN_TIMES = ("queue_time", "pre_time", "job_time", "post_time", "run_time", "stage_time")
AMOUNTS = {"run": RUN_TIMES, "ingest": ("file_size", "transfer_time", "ingest_time")}
STATUSES = {
    "run": ("completed", "failed", "canceled"),
    "ingest": ("deferred", "ingested", "errored", "duplicate"),
}
ERRORS = ("system", "data", "algorithm")
HOUR_MS = 3_600_000
EPOCH = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)


class Stage:
    """The tables in memory, with blocks as the monitor hands them on."""

    def __init__(self, merge_rows=8192):
        self.cursor = duckdb.connect(config={"threads": 1})
        make_tables(self.cursor)
        for name, select in PROCESSING_VIEWS.items():
            self.cursor.execute(f'CREATE VIEW "{name}" AS {select}')
        self.decoder = Decoder(duckdb.connect(), max_future_us=None, line_bytes=1 << 20)
        self.merge_rows, self.next_seq = merge_rows, 0
        self.reopen()

    def reopen(self):
        self.processing = Processing(self.cursor, canonical, Seen(), self.merge_rows)
        self.processing.load()

    def take(self, events, *, count=True):
        """Take events, dicts or lines, as one block; without `count` they are only stored."""
        lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
        data = "".join(f"{line}\n" for line in lines).encode()
        batch = self.decoder.decode(Block("s", "p", 0, data, 0))
        assert batch.rejects.to_pylist() == []
        self.take_rows(batch.others, batch.lines, count=count)

    def take_rows(self, others, lines, *, count=True):
        self.cursor.execute("BEGIN")
        self.cursor.register("b_others", others)
        self.cursor.execute(
            f"INSERT INTO other_events SELECT {self.next_seq} + ordinal, type, model_id, job_id,"
            " event_id, make_timestamp(event_us), make_timestamp(0), 0, position, raw FROM b_others"
        )
        if count:
            self.processing.take(self.next_seq)
        self.cursor.unregister("b_others")
        self.cursor.execute("COMMIT")
        self.next_seq += lines

    def rows(self, sql):
        return self.cursor.execute(sql).fetchall()

    def metrics(self):
        rows = self.rows("SELECT * FROM processing_metrics")
        found = {row[:4]: row[4:] for row in rows}
        assert len(found) == len(rows)
        return found

    def choices(self):
        rows = self.rows("SELECT catalogue, choice_id, name, version FROM processing_choices")
        assert len(set(rows)) == len(rows)
        return set(rows)


def raw_rows(events):
    """Give events as the monitor's relation, without any check of a decoder."""
    return pa.table(
        {
            "ordinal": pa.array(range(len(events)), pa.int32()),
            "position": pa.array(range(len(events)), pa.int64()),
            "type": [event["type"] for event in events],
            "model_id": pa.nulls(len(events), pa.string()),
            "job_id": pa.nulls(len(events), pa.string()),
            "event_id": [str(event["id"]) for event in events],
            "event_us": pa.array([event["timestamp"] * 1000 for event in events], pa.int64()),
            "raw": [json.dumps(event) for event in events],
        }
    )


def run(number, hour=0, minute=0, **more):
    return {
        "type": "run",
        "id": f"r{number}",
        "job_type": "parse",
        "status": "COMPLETED",
        "timestamp": hour * HOUR_MS + minute * 60_000,
    } | more


def ingest(number, hour=0, minute=0, **more):
    return {
        "type": "ingest",
        "id": f"i{number}",
        "strike": "north",
        "status": "INGESTED",
        "timestamp": hour * HOUR_MS + minute * 60_000,
    } | more


def choice(catalogue, name, version=None):
    named = f"{catalogue}:{len(name)}:{name}" + ("" if version is None else f":{version}")
    digest = hashlib.md5(named.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little") >> 11


def hour_of(timestamp_ms):
    return EPOCH + timedelta(hours=timestamp_ms // HOUR_MS)


def in_force(events):
    """Give, of each type and id, the greatest event by time and canonical JSON."""
    best = {}
    for event in events:
        key, rank = (event["type"], str(event["id"])), _rank(event)
        if key not in best or rank > best[key][0]:
            best[key] = (rank, event)
    return [event for _, event in best.values()]


def _rank(event):
    return event["timestamp"], canonical(json.dumps(event))


def choices_of(event):
    """Give the choices that an event counts for: (catalogue, name, version)."""
    if event["type"] == "ingest":
        return [("ingests", str(event["strike"]), None)]
    version, error = event.get("version"), event.get("error_category")
    named = [("job-types", event["job_type"], None if version is None else str(version))]
    return named if error is None else [*named, ("errors", error, None)]


def expected_choices(events):
    named = {one for event in in_force(events) for one in choices_of(event)}
    return {(catalogue, choice(catalogue, *of), *of) for catalogue, *of in named}


def expected(events):
    """Compute `processing_metrics` the slow way."""
    hours = defaultdict(list)
    for event in in_force(events):
        for catalogue, *of in choices_of(event):
            hours[catalogue, choice(catalogue, *of), hour_of(event["timestamp"])].append(event)
    found = {}
    for (catalogue, number, hour), members in hours.items():
        counts = _counts(catalogue, members) | {"total_count": len(members)}
        for name, count in counts.items():
            found[catalogue, number, hour, name] = (count, float(count), None, None)
        for name in () if catalogue == "errors" else AMOUNTS[members[0]["type"]]:
            values = [float(event[name]) for event in members if event.get(name) is not None]
            if values:
                amounts = (len(values), sum(values), min(values), max(values))
                found[catalogue, number, hour, name] = amounts
    return found


def _counts(catalogue, members):
    if catalogue == "errors":
        return {}
    words = [event["status"].lower().replace("cancelled", "canceled") for event in members]
    counts = {f"{name}_count": words.count(name) for name in STATUSES[members[0]["type"]]}
    if catalogue == "job-types":
        faults = [(event.get("error_category") or "").lower() for event in members]
        counts |= {f"error_{name}_count": faults.count(name) for name in ERRORS}
    return counts


def agree(found, wanted):
    assert found.keys() == wanted.keys()
    for key, (count, total, least, most) in wanted.items():
        assert found[key][0] == count, key
        assert abs(found[key][1] - total) <= 1e-9 * abs(total), key
        assert found[key][2:] == (least, most), key


def utc(*parts):
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)
