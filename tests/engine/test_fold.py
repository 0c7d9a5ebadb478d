"""A batch folded beforehand gives the same panes, bit for bit, as one that was not."""

import json
import random
from dataclasses import replace

import duckdb
import pytest
from harness import encoded, fresh_store

from engine.batch import Block
from engine.config import Limits, ModelSettings, Settings
from engine.decode import Decoder, canonical
from engine.fold import fold, positives_of
from engine.lists import make_lists
from engine.monitor import Monitor
from engine.rows import TABLES

START_MS = 1_700_000_040_000
ROWS = 4_300
POSITIVE = Settings(
    administrators=("root",),
    models=(
        ModelSettings("m0", positive="A", positive_property="p"),
        ModelSettings("m1", positive="B", positive_property="predictions.q", threshold=0.25),
    ),
)
TIMED = {"received_time", "updated_time"}


def stream(seed, repeats, votes, labelled=0.6):
    chance = random.Random(seed)
    for number in range(ROWS):
        event = {
            "model_id": f"m{number % 5}",
            "id": f"e{number}",
            "timestamp": START_MS + chance.randrange(600_000),
            "prediction": chance.choice(["A", "B", "C", chance.gauss(0, 3), 2, True]),
            "features": {"x": chance.gauss(1e6, 1e-3), "y": chance.choice([1, "odd", None, 0.1])},
            "predictions": {"p": chance.random(), "q": chance.random()},
        }
        if chance.random() < labelled:
            event["label"] = chance.choice(["A", "B", "C", chance.gauss(0, 3), 2.0])
        if chance.random() < 0.5:
            event["score"] = chance.choice([chance.random(), 0, 1, 0.5])
        if chance.random() < 0.02:
            event["features"][f"rare{chance.randrange(400)}"] = chance.random()
        yield event
        if chance.random() < repeats:
            yield {**event, "timestamp": event["timestamp"] + chance.choice([0, 60_000])}
        if chance.random() < votes:
            yield {
                "type": "label",
                "model_id": event["model_id"],
                "id": f"e{chance.randrange(number + 50)}",
                "timestamp": event["timestamp"] + chance.randrange(100_000),
                "label": chance.choice(["A", "B"]),
                "by": chance.choice(["ana", "root"]),
            }


def tables(settings, batches, pane_s):
    connection = fresh_store()
    monitor = Monitor(connection, settings, pane_s, canonical)
    for batch in batches:
        connection.execute("BEGIN")
        monitor.take(batch)
        connection.execute("COMMIT")
    found = {}
    for name in TABLES:
        columns = [row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall()]
        kept = ", ".join(column for column in columns if column not in TIMED)
        # repr tells floats apart to the last bit
        rows = connection.execute(f"SELECT {kept} FROM {name}").fetchall()
        found[name] = sorted(_in_order(row) for row in rows)
    return found


def _in_order(row):
    """The text of a row; the bins of a cell are a set, whichever came first."""
    lists = [value for value in row if isinstance(value, list)]
    rest = [value for value in row if not isinstance(value, list)]
    return repr((rest, sorted(zip(*lists, strict=True), key=repr)))


CASES = {
    "all fresh": (Settings(), {"repeats": 0, "votes": 0}),
    "nothing labelled": (Settings(), {"repeats": 0, "votes": 0, "labelled": 0}),
    "repeats": (Settings(), {"repeats": 0.01, "votes": 0}),
    "votes": (Settings(administrators=("root",)), {"repeats": 0, "votes": 0.2}),
    "both, positive property": (POSITIVE, {"repeats": 0.01, "votes": 0.1}),
    "fresh, positive property": (POSITIVE, {"repeats": 0, "votes": 0}),
    "limits": (replace(POSITIVE, limits=Limits(3, 6, 2)), {"repeats": 0, "votes": 0.01}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("seed", "pane_s"), [(1, 60), (2, 15)])
def test_law_folded_beforehand_or_not_is_the_same_to_the_last_bit(case, seed, pane_s):
    settings, told = CASES[case]
    cursor = duckdb.connect(config={"threads": 1})
    make_lists(cursor, settings)
    decoder = Decoder(
        cursor,
        max_future_us=None,
        line_bytes=1 << 20,
        positive={m.id: (m.positive, m.positive_property) for m in settings.models},
    )
    positives = positives_of(settings.models)
    lines = encoded(stream(seed, **told))
    # A second block with known keys, votes on the first one's events, and news.
    blocks = [lines, lines[::9] + encoded(later(seed))]
    plain, folded, position = [], [], 0
    for block in blocks:
        data = b"".join(block)
        plain.append(decoder.decode(Block("s", "p", position, data, 0)))
        folded.append(fold(plain[-1], positives, pane_s))
        position += len(data)
    assert all(batch.folded is not None for batch in folded)
    assert all(batch.folded is None for batch in plain)
    expected = tables(settings, plain, pane_s)
    found = tables(settings, folded, pane_s)
    assert sum(map(len, expected.values())) > ROWS
    differing = [name for name in expected if found[name] != expected[name]]
    assert not differing


def later(seed):
    """As many events again, under ids of their own."""
    for event in stream(seed + 100, 0, 0):
        yield {**json.loads(json.dumps(event)), "id": f"late-{event['id']}"}
