"""Random traces and rules: they must be lines that are accepted, and have all that can go wrong."""

import json
from collections import Counter

from decoding import decoder
from harness import encoded
from naive_rules import interpret
from rule_traces import ADMINISTRATORS, declared, random_rules, trace

from engine.batch import Block


def test_law_the_same_seed_gives_the_same_trace_and_rules():
    assert trace(1, 500) == trace(1, 500) != trace(2, 500)
    assert random_rules(1, 5) == random_rules(1, 5) != random_rules(2, 5)


def troubles(lines):
    """Count what a line is beside being the next one of its producer."""
    found, highest, seen, first = Counter(), 0, set(), {}
    for line in lines:
        kind, text = line.get("type", "prediction"), json.dumps(line, sort_keys=True)
        key, time = (line.get("model_id"), line.get("id")), line["timestamp"]
        found["repeat"] += text in seen
        found["late"] += time < highest - 10_000
        found["gap"] += 0 < highest < time - 60_000 and kind != "reference"
        found["vote first"] += kind == "label" and key not in first
        found["other content"] += kind == "prediction" and first.get(key, text) != text
        if kind == "prediction":
            first.setdefault(key, text)
        seen.add(text)
        highest = highest if kind == "reference" else max(highest, time)
    return found


def test_law_traces_are_accepted_and_have_every_trouble():
    lines = trace(0, 4_000)
    taken = decoder(max_future_us=None).decode(Block("s", "p", 0, b"".join(encoded(lines)), 0))
    assert taken.rejects.num_rows == 0
    found = troubles(lines)
    assert found["gap"] >= 2
    assert min(found[name] for name in ("repeat", "late", "vote first", "other content")) > 20
    last = Counter(line["model_id"] for line in lines[-600:] if "prediction" in line)
    assert last["m0"] > 50 < last["m1"]
    assert last["m2"] <= 10  # it fell silent


def test_law_random_rules_fire_now_and_then():
    chosen = random_rules(0, 30)
    pairs = [(each.settings, each.metric) for each in chosen]
    alerts, evaluations = interpret(
        trace(0, 3_000), pairs, declared(), administrators=ADMINISTRATORS
    )
    assert 10 <= len({alert.rule for alert in alerts}) <= 28
    assert {each.state for each in evaluations} == {
        *("ok", "firing", "suppressed", "no_data", "warm_up")
    }
    assert any(alert.suppressed_since_us is not None for alert in alerts)
    assert any(alert.group is not None for alert in alerts)
