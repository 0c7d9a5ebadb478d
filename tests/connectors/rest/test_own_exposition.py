"""The text for Prometheus over many rules: the newest evaluation of each, soon, well escaped."""

import math
import time

import pytest
from harness import fresh_store
from prometheus_client.parser import text_string_to_metric_families

from connectors.rest.own.prometheus import exposition

RULES, EVALUATIONS = 3_000, 60_000
ID = "'00000000-0000-0000-0000-' || lpad(i::VARCHAR, 12, '0')"
NAME = 'a "b" \\ c\nd'


@pytest.fixture(scope="module")
def cursor():
    with fresh_store() as connection:
        found = connection.cursor()
        found.execute(
            f"INSERT INTO rules_log SELECT {ID}, 2, 'm' || i % 100, {ID}, $name, 'lower', 0.5,"
            " 'warning', 300, 60, 0, 0, 'label', i <> 7, false, 'ignore', NULL, 0, 0.0, NULL, 100,"
            f" '{{}}', NULL, true FROM range({RULES}) t(i)",
            {"name": NAME},
        )
        found.execute(
            f"INSERT INTO metrics_log SELECT {ID}, 'm' || i % 100, 'metric', 't', 'query', '{{}}',"
            f" false, true FROM range({RULES}) t(i)"
        )
        # Rule i % RULES at second i; rule 5 has two groups, the one of which has no data.
        found.execute(
            "INSERT INTO evaluations_log SELECT rule, version, NULL, seen, seen, value, 3, 'ok',"
            f" NULL, NULL FROM (SELECT {ID.replace('i::', f'(i % {RULES})::')} AS rule,"
            " 2 AS version, make_timestamp(i * 1000000) AS seen, i AS value"
            f" FROM range({EVALUATIONS}) t(i))"
        )
        at = "make_timestamp(1), make_timestamp(1)"
        for rule, version, group, value in [(5, 2, "'x'", "NULL"), (6, 1, "NULL", "99")]:
            told = f"{ID.replace('i::', f'{rule}::')}, {version}, {group}, {at}, {value}"
            found.execute(f"INSERT INTO evaluations_log SELECT {told}, 0, 'no_data', NULL, NULL")
        yield found


def test_law_each_rule_has_its_newest_value(cursor):
    began = time.monotonic()
    text = exposition(cursor, 0.0, failed=False, committed_s=1.5).decode()
    assert time.monotonic() - began < 10
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {
        (int(sample.labels["rule_id"][-12:]), sample.labels["group"]): sample.value
        for sample in families["bellwether_rule_value"].samples
    }
    last = EVALUATIONS - RULES
    nothing = values.pop((5, "x"))
    assert math.isnan(nothing)
    assert values == {(rule, ""): last + rule for rule in range(RULES) if rule != 7}
    (first, *_) = families["bellwether_rule_value"].samples
    assert first.labels["rule_name"] == NAME
    assert first.labels["metric"] == "metric"
    states = {sample.labels["state"] for sample in families["bellwether_rule_state"].samples}
    assert states == {"ok", "no_data"}
    (cut,) = families["bellwether_rules_cut"].samples
    assert cut.value == 0
