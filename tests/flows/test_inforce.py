"""What is in force: single edits over a file, and stored edits over a file that has changed.

An edit is checked against everything around it: what something else needs cannot go. At a start
nothing is an error any more: an edit that no longer fits is left out, and said.
"""

# ruff: noqa: E501 - what is edited is one line

from dataclasses import replace
from uuid import UUID

import pytest

from engine.changes import Edit
from engine.config import (
    AnomalyJobSettings,
    AnomalyRuleSettings,
    DetectorSettings,
    MetricSettings,
    NotificationSettings,
    RuleSettings,
    Settings,
    UserSettings,
)
from engine.errors import ConflictError, NotFoundError, QueryError
from engine.metrics import metric_id
from engine.notifications import configuration_id
from engine.rules.definition import rule_id_of, rules_of
from flows.inforce import InForce, in_force
from flows.telling import notes_of

QUERY = '{"select": [{"function": "count"}]}'
METRIC = MetricSettings("m", "mine", QUERY)
RULE = RuleSettings("m", "mine", "upper", 1.0, "warning", name="first")
OTHER = RuleSettings("m", "count", "upper", 2.0, "critical", name="second")
READING = AnomalyJobSettings("reading", (DetectorSettings("mean", "mine"),), model="m")
COUNTING = AnomalyJobSettings(
    "counting", (DetectorSettings("count"),), model="m", influencers=("features.city",)
)
SCORES = AnomalyRuleSettings("counting", "influencer", name="scores", field="features.city")
ANA = UserSettings("ana", "ana@b.c", "administrator", api_key_env="ANA_KEY")
TOLD = NotificationSettings("ana", "m", "ana@b.c")
FILE = Settings(
    metrics=(METRIC,),
    alert_rules=(RULE, OTHER),
    anomaly_jobs=(READING, COUNTING),
    anomaly_rules=(SCORES,),
    users=(ANA,),
    notifications=(TOLD,),
    administrators=("ana",),
)
METRIC_ID = str(metric_id("m", "mine"))
RULE_ID, OTHER_ID = (str(rule_id_of(rule, rule.name)) for rule in (RULE, OTHER))
TOLD_ID = configuration_id(TOLD)
FRESH_ID = "5a0c1b7e-6d0f-4f0b-9a55-0f6d7c0b9e21"


@pytest.fixture
def found():
    return InForce.of(FILE)


def patched(found, kind, entry_id, **told):
    return Edit(kind, entry_id, found.definition(kind, entry_id) | told)


def test_golden_the_file_alone_is_in_force(found):
    assert found.settings == FILE
    assert not found.made_here("alert_rule", RULE_ID)
    assert found.declared("alert_rule", RULE_ID)
    assert not found.declared("alert_rule", FRESH_ID)


def test_law_rules_without_a_name_get_one_each_as_they_do_in_the_engine():
    rules = tuple(replace(OTHER, name=None, threshold=float(n)) for n in range(3))
    found = InForce.of(Settings(alert_rules=rules)).settings
    assert [rule.threshold for rule in found.alert_rules] == [0.0, 1.0, 2.0]
    assert [rule.name for rule in found.alert_rules] == [
        rule.name for rule in rules_of(Settings(alert_rules=rules))
    ]


def test_golden_an_edit_replaces_joins_or_takes_away_and_leaves_what_was(found):
    after = found.apply(patched(found, "alert_rule", RULE_ID, threshold=9))
    assert after.settings.alert_rules == (replace(RULE, threshold=9.0), OTHER)
    assert after.made_here("alert_rule", RULE_ID)
    less = after.apply(Edit("alert_rule", OTHER_ID, None))
    assert less.settings.alert_rules == (replace(RULE, threshold=9.0),)
    assert less.made_here("alert_rule", OTHER_ID)
    assert less.definition("alert_rule", OTHER_ID) is None
    assert found.settings == FILE


def test_golden_a_renamed_rule_keeps_its_id_and_a_new_one_may_have_any_name(found):
    renamed = found.apply(patched(found, "alert_rule", RULE_ID, name="renamed"))
    assert renamed.settings.alert_rules[0] == replace(RULE, name="renamed", rule_id=RULE_ID)
    more = renamed.apply(patched(renamed, "alert_rule", OTHER_ID, name="renamed"))
    third = more.apply(
        Edit(
            "alert_rule", FRESH_ID, more.definition("alert_rule", OTHER_ID) | {"rule_id": FRESH_ID}
        )
    )
    assert [rule.name for rule in third.settings.alert_rules] == ["renamed"] * 3
    back = third.apply(patched(third, "alert_rule", RULE_ID, name="first"))
    assert back.settings.alert_rules[0].rule_id == RULE_ID


def test_golden_a_new_rule_says_its_id_even_where_it_follows_from_its_name(found):
    told = {
        "model": "m",
        "metric": "count",
        "bound": "upper",
        "threshold": 1,
        "severity": "warning",
    }
    new_id = str(rule_id_of(RULE, "new"))
    after = found.apply(Edit("alert_rule", new_id, told | {"name": "new"}))
    assert after.settings.alert_rules[2].rule_id == new_id


def test_law_administrators_whose_labels_override_are_those_of_the_file(found):
    eve = Edit("user", "eve", {"username": "eve", "role": "administrator"})
    lower = patched(found, "user", "ana", role="viewer")
    after = found.apply(eve).apply(lower)
    assert [user.role for user in after.settings.users] == ["viewer", "administrator"]
    assert after.settings.administrators == ("ana",)


@pytest.mark.parametrize(
    ("edit", "fault", "text"),
    [
        (Edit("metric", METRIC_ID, None), ConflictError, 'the metric "mine" of the model "m" must stay while the alert rule "first" uses it'),
        (Edit("anomaly_job", "counting", None), ConflictError, 'the anomaly job "counting" must stay while there is the alert rule "scores" on its scores'),
        (Edit("anomaly_job", "counting", {"job_id": "counting", "model": "m", "detectors": [{"function": "count"}]}), ConflictError, 'the anomaly job "counting" must keep, for the alert rule "scores" on its scores, the influencers that it is about'),
        (Edit("user", "ana", None), ConflictError, 'the user "ana" must stay while there is the notification configuration for the model "m"'),
        (Edit("user", "ana", {"username": "ana", "email": "new@b.c"}), ConflictError, 'the user "ana" must keep the address of the notification configuration for the model "m"'),
        (Edit("user", "ana", {"username": "ana", "email": "ana@b.c", "api_key_env": "OTHER"}), QueryError, "api_key_env must be left out, or as in the file, got another one"),
        (Edit("user", "eve", {"username": "eve", "api_key_env": "ANA_KEY"}), QueryError, "api_key_env must be left out, or as in the file, got another one"),
        (Edit("user", "eve", {"username": "eva"}), ConflictError, "the user must have the id eve, got one that has eva"),
        (Edit("alert_rule", FRESH_ID, {"model": "m", "metric": "count", "bound": "upper", "threshold": 1, "severity": "warning", "rule_id": str(UUID(int=1))}), ConflictError, f"the alert rule must have the id {FRESH_ID}, got one that has 00000000"),
        (Edit("alert_rule", FRESH_ID, None), NotFoundError, f'the alert rule must be one that there is, got "{FRESH_ID}"'),
        (Edit("rule", "x", None), QueryError, "`kind` must be one of metric, alert_rule, anomaly_job, notification, user, got rule"),
        (Edit("notification", TOLD_ID, {"user": "eve", "model": "m", "type": "email", "destination": "a@b.c"}), QueryError, 'user must be one of `users`, got "eve"'),
        (Edit("metric", str(metric_id("m", "features.city")), {"model": "m", "name": "mine", "query": {"select": [{"function": "count"}]}}), ConflictError, "the metric must have the id "),
    ],
)  # fmt: skip
def test_error_an_edit_that_does_not_fit_is_refused(found, edit, fault, text):
    with pytest.raises(fault) as caught:
        found.apply(edit)
    assert str(caught.value).startswith(text)


def test_error_a_metric_is_not_changed_under_a_rule_or_a_job_that_reads_it():
    drift = {"properties": ["x"], "num_bins": 5, "base": {"source": "reference"}}
    drift |= {"target": {"source": "inference"}, "metric": "PSI"}
    free = InForce.of(replace(FILE, alert_rules=(RULE,), anomaly_jobs=(READING,), anomaly_rules=()))
    with pytest.raises(ConflictError, match='must be of use for the anomaly job "reading"'):
        free.apply(patched(free, "metric", METRIC_ID, query=drift, endpoint="data_drift"))
    fine = free.apply(
        patched(
            free,
            "metric",
            METRIC_ID,
            query={"select": [{"function": "avg", "parameters": {"property": "score"}}]},
        )
    )
    assert "avg" in fine.settings.metrics[0].query


def test_error_a_new_metric_does_not_take_the_name_of_a_property_that_a_job_reads():
    job = replace(READING, detectors=(DetectorSettings("mean", "amount"),))
    found = InForce.of(Settings(anomaly_jobs=(job,)))
    told = {"model": "m", "name": "amount", "query": {"select": [{"function": "count"}]}}
    with pytest.raises(ConflictError, match='the anomaly job "reading" reads a property of that'):
        found.apply(Edit("metric", str(metric_id("m", "amount")), told))


def test_error_two_users_have_no_key_in_common(found):
    key = {"api_key_sha256": "ab" * 32}
    after = found.apply(Edit("user", "eve", {"username": "eve"} | key))
    with pytest.raises(ConflictError, match="of a key that nobody else has") as caught:
        after.apply(Edit("user", "bo", {"username": "bo"} | key))
    assert "abab" not in str(caught.value)


# ---- at a start ------------------------------------------------------------------------------


def stored(*edits):
    """Apply edits one by one, as runs have; give the last one of each id, as the log has them."""
    found = InForce.of(FILE)
    for edit in edits:
        found = found.apply(edit)
    return found, list({(edit.kind, edit.id): edit for edit in edits}.values())


def edits_of_a_run(found):
    yield Edit("user", "eve", {"username": "eve", "email": "eve@b.c", "role": "editor"})
    yield Edit("alert_rule", RULE_ID, None)
    yield Edit("anomaly_job", "reading", None)
    yield Edit("metric", METRIC_ID, None)  # nothing needs it any more
    own = {"model": "n", "name": "own", "query": {"select": [{"function": "count"}]}}
    yield Edit("metric", str(metric_id("n", "own")), own)
    rule = {"model": "n", "metric": "own", "bound": "lower", "threshold": 3, "severity": "warning"}
    yield Edit("alert_rule", FRESH_ID, rule | {"name": "fresh", "rule_id": FRESH_ID})
    yield patched(found, "alert_rule", OTHER_ID, name="renamed", threshold=5)
    told = {"user": "eve", "model": "n", "type": "email", "destination": "eve@b.c"}
    yield Edit("notification", configuration_id(NotificationSettings("eve", "n", "eve@b.c")), told)


def test_law_stored_edits_over_the_same_file_give_what_the_runs_had(found):
    live, edits = stored(*edits_of_a_run(found))
    again, left_out = in_force(FILE, edits)
    assert (again.settings, left_out) == (live.settings, {})
    assert again.edited == live.edited
    (note,) = notes_of(again, left_out)
    assert note == (
        "note: over REST: 1 alert rule added, 1 alert rule changed, 1 alert rule removed,"
        " 1 anomaly job removed, 1 metric added, 1 metric removed, 1 notification configuration"
        " added, 1 user added; they hold over the file (relation `changes`)"
    )


def test_golden_nothing_is_said_where_nothing_differs(found):
    assert notes_of(found, {}) == []
    same, left_out = in_force(FILE, [patched(found, "alert_rule", RULE_ID)])
    assert notes_of(same, left_out) == []


def test_golden_edits_that_no_longer_fit_the_file_are_left_out_and_said():
    own = {"model": "m", "metric": "mine", "bound": "lower", "threshold": 3, "severity": "warning"}
    told = {"user": "ana", "model": "n", "type": "email", "destination": "ana@b.c"}
    told_id = configuration_id(NotificationSettings("ana", "n", "ana@b.c"))
    edits = [
        Edit("alert_rule", FRESH_ID, own | {"rule_id": FRESH_ID}),
        Edit("notification", told_id, told),
        Edit("alert_rule", OTHER_ID, None),
    ]
    bare = replace(
        FILE, metrics=(), alert_rules=(OTHER,), anomaly_jobs=(COUNTING,), users=(), notifications=()
    )
    found, left_out = in_force(bare, edits)
    assert found.settings.alert_rules == ()
    assert set(left_out) == {("alert_rule", FRESH_ID), ("notification", told_id)}
    first, *lines = notes_of(found, left_out)
    assert first.startswith("note: over REST: 1 alert rule removed; they hold")
    rest = "does not fit the file and is left out:"
    rule = (
        'metric must be a default metric, or one that `metrics` has for the model "m", got "mine"'
    )
    assert lines == [
        f'note: over REST: the change of the alert rule "{FRESH_ID}" {rest} {rule}',
        f'note: over REST: the change of the notification "{told_id}" {rest} user must be one of `users`, got "ana"',
    ]


def test_golden_a_removal_is_left_out_where_the_file_needs_the_entry_again():
    without = replace(FILE, alert_rules=(OTHER,), anomaly_jobs=(COUNTING,))
    (edit,) = [Edit("metric", METRIC_ID, None)]
    assert in_force(without, [edit])[0].settings.metrics == ()
    found, left_out = in_force(FILE, [edit])
    assert found.settings == FILE
    assert "must stay while the alert rule" in left_out["metric", METRIC_ID]
    assert not found.made_here("metric", METRIC_ID)
