"""Any query document is answered or refused in words, over a store of odd names and classes.

The answers must be JSON of whole Unicode. `BELLWETHER_FUZZ` sets how many examples are tried.
"""

import json
import os
import random

import pytest
from hostile_queries import DRIFT_QUERIES, ODD_NAMES, QUERIES
from hostile_store import filled
from hypothesis import HealthCheck, given, settings

from engine.ad_hoc import ask, ask_drift, ask_psi_buckets
from engine.config import ModelSettings, Settings
from engine.errors import QueryError

EXAMPLES = int(os.environ.get("BELLWETHER_FUZZ", "15"))
FUZZED = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
MODEL = ModelSettings("m")
VALUES = [1, 2.5, -1e300, "x", True, None, 0.1, "é"]


def events():
    rng = random.Random(3)
    for i in range(300):
        odd = {name: rng.choice(VALUES) for name in ODD_NAMES if rng.random() < 0.6}
        event = {
            "model_id": "m",
            "id": f"e{i}",
            "timestamp": 1_700_000_000_000 + i * 20_000,
            "prediction": rng.choice(["A", "B", "__other__", "Undecided", "null"]),
            "score": rng.random(),
            "features": odd | {"age": rng.random() * 50},
            "predictions": {"p_a": rng.random()},
            "labels": {"truth": rng.choice([0, 1]), "a": rng.choice(["x", 1, True])},
            "city": rng.choice(["Boston", "b%_", "\u202e"]),
            "batch_id": rng.choice("ab"),
            "truth_number": rng.random(),
        }
        if rng.random() < 0.8:
            event["label"] = rng.choice(["A", "B", "null"])
        # References first: each run of them behind predictions makes a reference set of its own.
        yield event | ({"type": "reference"} if i < 60 else {})


@pytest.fixture(scope="module")
def cursor():
    with filled(events()) as found:
        yield found


def check(asked) -> None:
    try:
        rows = asked()
    except QueryError as error:
        assert str(error).strip()  # noqa: PT017 - an empty refusal is what is looked for
        str(error).encode()
    else:
        json.dumps(rows, default=str, ensure_ascii=False).encode()


@FUZZED
@given(QUERIES)
def test_law_any_query_is_answered_or_refused(cursor, query: object) -> None:
    check(lambda: ask(cursor, MODEL, query))


@FUZZED
@given(DRIFT_QUERIES)
def test_law_any_drift_query_is_answered_or_refused(cursor, query: object) -> None:
    check(lambda: ask_drift(cursor, Settings(), MODEL, query))
    check(lambda: ask_psi_buckets(cursor, MODEL, query))
