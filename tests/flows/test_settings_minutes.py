"""The minutes that an event costs an analyst: one number, or one for each label.

They only turn counts into time saved, so a change of them must count nothing anew.
"""

import pytest
from settings_files import faults, settings_of

CLASS = "must be a class: text, a number or a boolean"
RULE = "must be a number of minutes from 0, or one for each label"


def model(tmp_path, minutes):
    return settings_of(tmp_path, f"models: [{{id: a, minutes_per_event: {minutes}}}]").models[0]


@pytest.mark.parametrize(
    ("written", "read"), [("0", 0.0), ("2.5", 2.5), ("-0", 0.0), ("1e3", 1000.0)]
)
def test_golden_one_number(tmp_path, written, read):
    found = model(tmp_path, written)
    assert (found.minutes_per_event, found.minutes_by_label) == (read, ())


def test_golden_a_number_for_each_label_as_events_are_compared_by_it(tmp_path):
    found = model(tmp_path, "{Drop: 1, 1.0: 2.5, true: 0, '1.5': 3}")
    assert found.minutes_per_event is None
    assert found.minutes_by_label == (("Drop", 1.0), ("1", 2.5), ("true", 0.0), ("1.5", 3.0))


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("-1", f"models[0].minutes_per_event {RULE}, got -1"),
        ("x", f'models[0].minutes_per_event {RULE}, got "x"'),
        ("1e999", f"models[0].minutes_per_event {RULE}, got 1e999"),
        ("true", f"models[0].minutes_per_event {RULE}, got true"),
        ("[1]", f"models[0].minutes_per_event {RULE}, got a list of 1"),
        ("{}", f"models[0].minutes_per_event {RULE}, got a mapping"),
        (
            "{Drop: -1}",
            "models[0].minutes_per_event.Drop must be a number of minutes from 0, got -1",
        ),
        ("{1: 1, 1.0: 2}", "`models[0].minutes_per_event.1` must be there once, got it again"),
        (
            "{[a]: 1}",
            f"a key of models[0].minutes_per_event {CLASS}, got a list of 1",
        ),
    ],
)
def test_error_each_fault_says_key_rule_and_value(tmp_path, written, fault):
    content = f"models: [{{id: a, minutes_per_event: {written}}}]"
    assert faults(tmp_path, content) == [f"1: {fault}"]
