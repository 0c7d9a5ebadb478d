"""Three small models for the Arthur contract, as events and as plain rows to count by hand.

`loans` predicts one of two classes, with named outputs and truths as in the document; `prices` a
number; `kinds` one of three classes. Some labels never come.
"""

import random
from collections import Counter
from datetime import UTC, datetime
from typing import NamedTuple

CONFIG = """
models:
  - {id: loans, classes: ["no", "yes"], positive: "yes", positive_property: class_a}
  - {id: kinds, classes: [a, b, c]}
"""
CLASS_A = {
    "threshold": 0.5,
    "ground_truth_property": "ground_truth_a",
    "predicted_property": "class_a",
}
START_MS = 1_767_607_200_000  # 2026-01-05T10:00:00Z
STEP_MS = 20_000


def loans(count=300):
    """Rows with every property by its bare name; None where it is absent."""
    rng = random.Random(57)
    rows = []
    for i in range(count):
        share, true = rng.random(), rng.random() < 0.4
        rows.append(
            {
                "id": f"loan-{i}",
                "ms": START_MS + i * STEP_MS,
                "city": rng.choice(["Boston", "Oslo", "boston", None]),
                "temperature": None if i % 13 == 0 else round(rng.gauss(40, 15), 2),
                "AGE": rng.randrange(18, 70),
                "device": rng.choice(["phone", "web"]),
                "batch_id": f"b{i % 3}",
                "class_a": share,
                "class_b": 1 - share,
                "prediction": "yes" if share >= 0.5 else "no",
                "label": None if i % 7 == 0 else ("yes" if true else "no"),
                "ground_truth_a": None if i % 7 == 0 else int(true),
                "class_a_ground_truth": None if i % 7 == 0 else round(rng.random(), 3),
            }
        )
    return rows


def numbers(count=120):
    rng = random.Random(5)
    rows = []
    for i in range(count):
        truth = rng.gauss(1_000, 50)
        rows.append(
            {
                "id": f"price-{i}",
                "ms": START_MS + i * STEP_MS,
                "prediction": truth + rng.gauss(0, 20),
                "label": None if i % 5 == 0 else truth,
            }
        )
    return rows


def kinds(count=150):
    rng = random.Random(19)
    return [
        {
            "id": f"kind-{i}",
            "ms": START_MS + i * STEP_MS,
            "prediction": rng.choice("abc"),
            "label": rng.choice("aabbc"),
        }
        for i in range(count)
    ]


def events_of(model, rows):
    """Give the predictions and labels of some rows."""
    events = []
    for row in rows:
        given = {"model_id": model, "id": row["id"], "timestamp": row["ms"]}
        told = {key: row[key] for key in ("prediction", "batch_id", "device") if key in row}
        told |= _members(row, "features", ("city", "temperature", "AGE"))
        told |= _members(row, "predictions", ("class_a", "class_b"))
        events.append(given | told)
        if row["label"] is not None:
            labels = _members(row, "labels", ("ground_truth_a", "class_a_ground_truth"))
            events.append(given | {"type": "label", "label": row["label"]} | labels)
    return events


def reference_of(rows):
    """Give rows of `loans` as its reference set."""
    return [
        {
            "type": "reference",
            "model_id": "loans",
            "id": row["id"],
            **_members(row, "features", ("city", "temperature", "AGE")),
            **_members(row, "predictions", ("class_a", "class_b")),
        }
        for row in rows
    ]


def _members(row, container, names):
    found = {name: row[name] for name in names if row.get(name) is not None}
    return {container: found} if found else {}


def iso(ms):
    """An instant as an answer writes it."""
    written = datetime.fromtimestamp(ms / 1000, UTC).isoformat()
    return written.replace("+00:00", "Z")


class Cells(NamedTuple):
    """How often truth and prediction were positive."""

    tp: int
    fp: int
    tn: int
    fn: int

    @classmethod
    def of(cls, pairs):
        """Count pairs of (truth, prediction)."""
        counted = Counter(pairs)
        keys = ((True, True), (False, True), (False, False), (True, False))
        return cls(*(counted[key] for key in keys))


def cells(rows, threshold=0.5):
    """Count `class_a` against `ground_truth_a`."""
    return Cells.of(
        (row["ground_truth_a"] == 1, row["class_a"] >= threshold)
        for row in rows
        if row["ground_truth_a"] is not None
    )
