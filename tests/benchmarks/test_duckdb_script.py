"""A yardstick that computes the wrong tables measures nothing: it is compared with plain Python."""

import math
from collections import Counter, defaultdict
from fractions import Fraction

import duckdb
import orjson
import pytest

from benchmarks.duckdb_script import HORIZON_MS, build
from benchmarks.workload import START_MS, Workload, lines

_KEYS = ("model_id", "id")


def _hostile_lines():
    """A small workload with repeats, corrections, labels of nothing and labels too late."""
    plain = [line for c in lines(Workload(lines=4_000, models=3)) for line in bytes(c).splitlines()]
    events = [orjson.loads(line) for line in plain]
    predictions = [event for event in events if event["type"] == "prediction"]
    votes = [event for event in events if event["type"] == "label"]
    moved = [e | {"timestamp": e["timestamp"] + 90_000, "prediction": "C"} for e in predictions[:5]]
    older = [e | {"timestamp": e["timestamp"] - 90_000, "score": 0.25} for e in predictions[10:15]]
    corrected = [v | {"timestamp": v["timestamp"] + 60_000, "label": "B"} for v in votes[:7]]
    overruled = [v | {"timestamp": v["timestamp"] - 50_000, "label": "A"} for v in votes[7:12]]
    of_nothing = [votes[0] | {"id": "nobody"}]
    too_late = [_vote(p, p["timestamp"] + HORIZON_MS + 1) for p in predictions[20:23]]
    just_in_time = [_vote(p, p["timestamp"] + HORIZON_MS) for p in predictions[30:33]]
    early = [_vote(p, p["timestamp"] - 120_000) for p in predictions[40:43]]
    bare = [{k: v for k, v in p.items() if k != "score"} | {"id": p["id"] + "x"} for p in moved]
    extra = [moved, older, corrected, overruled, of_nothing, too_late, just_in_time, early, bare]
    added = [event for group in extra for event in group]
    return plain + [orjson.dumps(event) for event in added] + plain[100:120]


def _vote(prediction, at):
    same = {name: prediction[name] for name in _KEYS}
    return {"type": "label", **same, "timestamp": at, "label": "C"}


@pytest.fixture(scope="module", params=[False, True], ids=["json", "typed"])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("script")
    stream = _hostile_lines()
    (folder / "events.ndjson").write_bytes(b"\n".join(stream) + b"\n")
    build(folder / "events.ndjson", folder / "made.duckdb", typed=request.param)
    with duckdb.connect(str(folder / "made.duckdb"), read_only=True) as connection:
        yield connection, _brute_force([orjson.loads(line) for line in stream])


def _brute_force(events):
    """Each prediction that stands, with its label and the panes it counts in."""
    winners, votes = {}, defaultdict(list)
    for event in events:
        key = tuple(event[name] for name in _KEYS)
        if event["type"] == "label":
            votes[key].append((event["timestamp"], event["label"]))
        elif key not in winners or winners[key]["timestamp"] < event["timestamp"]:
            winners[key] = event
    rows = []
    for key, event in winners.items():
        at = event["timestamp"]
        last = max((v for v in votes[key] if abs(v[0] - at) <= HORIZON_MS), default=None)
        label_ms, label = last or (at if "label" in event else None, event.get("label"))
        pane = at // 60_000 * 60
        label_pane = None if label is None else max(at, label_ms) // 60_000 * 60
        rows.append((event, label, label_ms, {"event": pane, "label": label_pane}))
    return rows


def _bases(rows):
    """Every labelled row on both time bases: model, basis, pane, label, prediction, score."""
    for event, label, _, panes in rows:
        for basis, pane in panes.items():
            if label is not None:
                yield (
                    (event["model_id"], basis, pane),
                    (label, event["prediction"]),
                    event.get("score"),
                )


def _counter(connection, sql):
    return Counter({tuple(row[:-1]): row[-1] for row in connection.execute(sql).fetchall()})


def test_oracle_events(made):
    connection, rows = made
    found = connection.execute(
        """SELECT model_id, event_id, epoch_ms(event_time), prediction, label,
            epoch_ms(label_time), score, correct, to_json(properties)->>'feature_3' FROM events"""
    ).fetchall()
    expected = [
        (
            e["model_id"],
            e["id"],
            e["timestamp"],
            e["prediction"],
            label,
            label_ms,
            e.get("score"),
            None if label is None else label == e["prediction"],
            str(e["features"]["feature_3"]),
        )
        for e, label, label_ms, _ in rows
    ]
    assert len(expected) > 3_900
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_oracle_totals_and_cells(made):
    connection, rows = made
    cells = Counter((*key, *cell) for key, cell, _ in _bases(rows))
    assert _counter(connection, "FROM cell_panes") == cells
    events = Counter((e["model_id"], "event", panes["event"]) for e, _, _, panes in rows)
    labelled = Counter(key for key, _, _ in _bases(rows))
    events.update({key: n for key, n in labelled.items() if key[1] == "label"})
    found = connection.execute("FROM total_panes").fetchall()
    assert {row[:3]: row[3] for row in found} == events
    assert Counter({row[:3]: row[4] for row in found}) == labelled


def test_oracle_score_bins(made):
    """Bin 2k holds exactly the doubles equal to k/1000, and 2k + 1 those between."""
    connection, rows = made

    def bin_of(score):
        exact = Fraction(score)
        nearest = round(exact * 1000)
        edge = Fraction(nearest / 1000)
        return 2 * nearest + (exact > edge) - (exact < edge)

    expected = Counter((*k, *c, bin_of(s)) for k, c, s in _bases(rows) if s is not None)
    found = connection.execute("FROM score_bin_panes").fetchall()
    assert Counter({row[:-1]: row[-1] for row in found}) == expected


def test_oracle_probabilities(made):
    connection, rows = made
    expected = defaultdict(list)
    for key, (label, prediction), score in _bases(rows):
        if score is not None:
            expected[key].append(score if label == prediction else 1 - score)
    found = {row[:3]: row[3:] for row in connection.execute("FROM probability_panes").fetchall()}
    assert found.keys() == expected.keys()
    for key, shares in expected.items():
        count, log_loss, brier = found[key]
        assert count == len(shares)
        clipped = [min(max(p, 2.220446049250313e-16), 1 - 2.220446049250313e-16) for p in shares]
        assert log_loss == pytest.approx(-math.fsum(map(math.log, clipped)), rel=1e-9)
        assert brier == pytest.approx(math.fsum((1 - p) ** 2 for p in shares), rel=1e-9)


def test_oracle_values(made):
    connection, rows = made
    expected = defaultdict(list)
    for event, _, _, panes in rows:
        named = {f"features.{name}": value for name, value in event["features"].items()}
        named |= {"score": event["score"]} if "score" in event else {}
        for name, value in named.items():
            expected[event["model_id"], panes["event"], name].append(value)
    found = {row[:3]: row[3:] for row in connection.execute("FROM value_panes").fetchall()}
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        count, total, least, greatest = found[key]
        assert (count, least, greatest) == (len(values), min(values), max(values))
        assert total == pytest.approx(math.fsum(values), rel=1e-9)


def test_oracle_every_vote_is_kept_once(made):
    connection, _ = made
    counted = connection.execute("SELECT count(*), min(vote_ms) FROM votes").fetchall()
    late = Workload(lines=4_000, models=3).late
    assert counted == [(late + 7 + 5 + 1 + 3 + 3 + 3, START_MS - 120_000 + 40 * 10)]
