"""Events of other types: what blocks add and take back is what is stored in the end.

A repeated id replaces: the twin keeps, of every identity, the greatest (time, line). Blocks come
through the decoder, so that the rows are those of the product.
"""

import json
import random
from collections import Counter

import numpy as np
import pytest
from decoding import decoder
from harness import encoded, fresh_store

from engine.anomaly.definition import jobs_of
from engine.anomaly.gather.gather import Gathering
from engine.anomaly.gather.sources import TypeRows
from engine.batch import Block
from engine.config import AnomalyJobSettings, DetectorSettings, Settings
from engine.rules.alerting import Lines
from engine.rules.reader import read_rows

START_MS = 1_700_000_000_000


class Taken:
    """Feeds lines to the store and to the rows of one type."""

    def __init__(self, kind, texts=(), numbers=()):
        self.kind = kind
        self.store = fresh_store()
        self.rows = self.fresh(texts, numbers)
        self.net = Counter()
        self.emitted = []
        self.at = 0
        self.asked = (texts, numbers)

    def fresh(self, texts, numbers):
        rows = TypeRows(self.store)
        for name in texts:
            rows.columns.note(rows.columns.text(name))
        for name in numbers:
            rows.columns.note(rows.columns.number(name))
        return rows

    def take(self, events):
        batch = decoder().decode(Block("s", "p", 0, b"".join(encoded(events)), START_MS * 1000))
        lines = Lines(self.at, np.arange(len(events), dtype=np.int64) + 1000 * self.at)
        before = self.rows.of_block(self.kind, batch, lines)
        for row in before.to_pylist():
            self.net[self.content(row)] += row["weight"]
        self.emitted.append(before)
        self.keep(batch)
        self.at += len(events)
        return before

    def keep(self, batch):
        self.store.register("b_others", batch.others)
        self.store.execute(
            f"INSERT INTO other_events SELECT {self.at} + ordinal, type, model_id, job_id,"
            " event_id, make_timestamp(event_us), make_timestamp(0), 0, position, raw"
            " FROM b_others"
        )
        self.store.register("b_votes", batch.votes)
        self.store.execute(
            "INSERT INTO votes_log (seq, key, model_id, event_id, voter, property, label,"
            f" label_number, vote_time) SELECT {self.at} + min(ordinal), key, model_id, event_id,"
            " voter, property, label, label_number, make_timestamp(vote_us) FROM b_votes b"
            " WHERE NOT EXISTS (FROM votes_log v WHERE v.key = b.key AND v.voter = b.voter"
            " AND v.property = b.property AND v.label = b.label"
            " AND v.vote_time = make_timestamp(b.vote_us)) GROUP BY ALL"
        )

    def content(self, row):
        lost = ("weight", "seq", "arrival_us", "changed", "model_no")
        return json.dumps({k: str(v) for k, v in row.items() if k not in lost}, sort_keys=True)

    def stored(self, low_us=None, high_us=None):
        found = self.fresh(*self.asked).of_store(self.kind, low_us, high_us)
        return Counter(self.content(row) for row in found.to_pylist())


def metric(rng):
    made = {
        "type": "metric", "job_id": rng.choice("jk"), "name": rng.choice(["loss", "f1"]),
        "value": rng.choice([1, 0.5, "nan"]), "timestamp": START_MS + rng.randrange(5) * 60_000,
    }  # fmt: skip
    if rng.random() < 0.8:
        made["step"] = rng.choice([1, 2])
    if rng.random() < 0.3:
        made["experiment_id"] = "x"
    return made


def run_event(rng):
    return {
        "type": "run", "id": f"r{rng.randrange(12)}", "job_type": "train", "version": "1",
        "status": rng.choice(["ok", "failed"]), "run_time": rng.choice([1.5, 2, 3]),
        "timestamp": START_MS + rng.randrange(5) * 60_000,
    }  # fmt: skip


def label(rng):
    made = {
        "type": "label", "model_id": "m", "id": f"e{rng.randrange(8)}",
        "timestamp": START_MS + rng.randrange(3) * 60_000,
    }  # fmt: skip
    if rng.random() < 0.7:
        made["by"] = rng.choice(["ann", "bob"])
    if rng.random() < 0.7:
        made["label"] = rng.choice(["yes", "no", 3])
    if "label" not in made or rng.random() < 0.4:
        made["labels"] = {rng.choice("xy"): rng.choice(["a", 1])}
    return made


def identity(event, seq):
    if event["type"] == "label":
        return event["id"], event.get("by", "")
    if event["type"] == "metric":
        if "step" not in event:
            return seq
        told = event["job_id"], event.get("experiment_id"), event["name"], float(event["step"])
        return json.dumps(told)
    return event["id"]


def count_of(events):
    """Give how many events count in the end."""
    return len({identity(event, seq) for seq, event in enumerate(events)})


KINDS = {
    "metric": (metric, ("name", "job_id"), ("value", "step")),
    "run": (run_event, ("status",), ("run_time",)),
    "label": (label, ("label", "by", "labels.x"), ("labels.x",)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_law_what_blocks_add_and_take_back_is_what_is_stored(kind, seed):
    rng = random.Random(seed)
    make, texts, numbers = KINDS[kind]
    events = [make(rng) for _ in range(120)]
    taken = Taken(kind, texts, numbers)
    at = 0
    while at < len(events):
        size = rng.choice([1, 4, 15])
        taken.take(events[at : at + size])
        at += size
        if rng.random() < 0.2:  # a start anew
            taken.rows = taken.fresh(texts, numbers)
    net = +taken.net
    assert net == taken.stored()
    assert min(taken.net.values()) >= 0
    assert net.total() == count_of(events)


@pytest.mark.parametrize("kind", KINDS)
def test_law_cuts_do_not_change_what_each_line_adds(kind):
    rng = random.Random(7)
    make, texts, numbers = KINDS[kind]
    events = [make(rng) for _ in range(60)]
    whole, single = Taken(kind, texts, numbers), Taken(kind, texts, numbers)
    rows = whole.take(events).to_pylist()
    parts = [row for event in events for row in single.take([event]).to_pylist()]
    drop = ("arrival_us",)
    assert [{k: v for k, v in row.items() if k not in drop} for row in rows] == [
        {k: v for k, v in row.items() if k not in drop} for row in parts
    ]


def test_oracle_the_greatest_time_and_then_the_greatest_line_counts():
    rng = random.Random(4)
    events = [run_event(rng) for _ in range(100)]
    taken = Taken("run", ("status",), ("run_time",))
    taken.take(events)
    best = {}
    for event in events:
        key = event["timestamp"], json.dumps(event)
        best[event["id"]] = max(best.get(event["id"], (0, "")), key)
    wanted = Counter((text, json.loads(text)["status"]) for _, text in best.values())
    have = taken.rows.of_store("run", None, None)
    statuses = Counter(have["t:status"].to_pylist())
    assert statuses == Counter(status for _, status in wanted.elements())


def test_law_the_same_line_twice_changes_nothing():
    events = [run_event(random.Random(1))]
    taken = Taken("run")
    assert len(taken.take(events)) == 1
    assert len(taken.take(events)) == 0
    assert len(taken.take(events * 3)) == 0


def test_law_bounds_are_half_open():
    made = run_event(random.Random(2))
    events = [{**made, "id": f"r{i}", "timestamp": START_MS + i} for i in range(4)]
    taken = Taken("run")
    taken.take(events)
    found = taken.stored((START_MS + 1) * 1000, (START_MS + 3) * 1000)
    assert found.total() == 2


def test_law_label_rows_have_voter_and_named_labels():
    taken = Taken("label", ("by", "label", "labels.x"))
    rows = taken.take(
        [
            {"type": "label", "model_id": "m", "id": "e", "timestamp": START_MS, "by": "ann",
             "label": "yes", "labels": {"x": "7"}},
            {"type": "label", "model_id": "m", "id": "e", "timestamp": START_MS + 1, "by": "ann",
             "label": 'a"b'},
        ]
    ).to_pylist()  # fmt: skip
    assert [row["weight"] for row in rows] == [1, -1, 1]
    assert [row["label"] for row in rows] == ["yes", "yes", 'a"b']
    assert [row["t:by"] for row in rows] == ["ann"] * 3
    assert [row["t:labels.x"] for row in rows] == ["7", "7", None]


def gathered(kind, events, told, span_s=3600):
    """Give the only bucket of a job over events of one type, taken one by one."""
    settings = AnomalyJobSettings("j", told, type=kind, bucket_span_s=span_s, influencers=("by",))
    job = jobs_of(Settings(anomaly_jobs=(settings,)))[0]
    taken = Taken(kind)
    gathering = Gathering(job, taken.rows.columns, None, limit=100)
    for event in events:
        rows = taken.take([event])
        taken.store.register("w_rows", rows)
        read = read_rows(taken.store, rows, gathering.wanted)
        taken.store.unregister("w_rows")
        gathering.take(read, np.arange(len(rows)))
    return gathering.close(gathering.first_s)


def values_by(values):
    return dict(zip(values.keys.by[values.series], values.value.tolist(), strict=True))


def test_oracle_jobs_over_events_of_a_type_measure_what_counts():
    rng = random.Random(8)
    events = [run_event(rng) for _ in range(60)]
    told = (
        DetectorSettings("count", by_field_name="status"),
        DetectorSettings("mean", field_name="run_time", by_field_name="job_type"),
    )
    measured = gathered("run", events, told)
    best = {}
    for event in events:
        key = event["timestamp"], json.dumps(event)
        best[event["id"]] = max(best.get(event["id"], (0, "")), key)
    held = [json.loads(text) for _, text in best.values()]
    assert measured.event_count == len(held)
    assert values_by(measured.values[0][0]) == Counter(each["status"] for each in held)
    mean = sum(each["run_time"] for each in held) / len(held)
    assert values_by(measured.values[1][0])["train"] == pytest.approx(mean, rel=1e-15)


def test_oracle_jobs_over_labels_know_model_voter_and_label():
    events = [label(random.Random(seed)) for seed in range(40)]
    told = tuple(DetectorSettings("count", by_field_name=n) for n in ("model_id", "by", "label"))
    measured = gathered("label", events, told)
    held = {}
    for event in sorted(events, key=lambda each: each["timestamp"]):
        key, before = identity(event, 0), held.get(identity(event, 0), {"timestamp": 0})
        later = event["timestamp"] > before["timestamp"]
        held[key] = event if later else {**before, **event}
    assert measured.event_count == len(held)
    assert values_by(measured.values[0][0]) == {"m": len(held)}
    voters = Counter(who for _, who in held if who)
    assert values_by(measured.values[1][0]) == voters
    shares = measured.contributions(0, "count", "by")
    assert dict(zip(shares.entity, shares.amount, strict=True)) == voters
