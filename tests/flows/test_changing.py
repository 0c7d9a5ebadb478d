"""The queue of changes: done one by one on the writer's thread, each in a transaction of its own.

What matters: nothing is acknowledged, or visible, before it is committed; what fails leaves no
trace; whoever no longer waits is not served. The session's part is played as its docstring says.
"""

import threading
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest
from harness import fresh_store

from engine.changes import Edit
from engine.config import NotificationSettings, RuleSettings, Settings, UserSettings
from engine.decode import canonical
from engine.errors import BusyError, EndingError, QueryError
from engine.monitor import Monitor
from engine.notifications import configuration_id
from engine.rules.definition import rule_id_of
from engine.watermark import NEVER
from flows.changing import Changing

RULE = RuleSettings("m", "count", "upper", 1.0, "warning", name="r")
RULE_ID = str(rule_id_of(RULE, "r"))
ANA = UserSettings("ana", "ana@b.c", "administrator", api_key_env="ANA_KEY")
FILE = Settings(alert_rules=(RULE,), users=(ANA,))
NOW_US = 1_700_000_000_000_000


class Run:
    """A store, a monitor and the gate to them, as a session has them."""

    def __init__(self, file=FILE, store=None, waiting_max=1_000):
        self.store = store or fresh_store()
        self.changing = Changing(file, waiting_max)
        self.store.execute("BEGIN")
        settings = self.changing.load(self.store)
        self.monitor = Monitor(self.store, settings, 60, canonical)
        self.monitor.watch()
        self.store.execute("COMMIT")

    def turn(self):
        """Do all that waits."""
        while (pending := self.changing.take()) is not None:
            self.store.execute("BEGIN")
            try:
                settings = pending.prepare(self.store, NOW_US, self.monitor.watermark_us)
            except Exception as error:  # noqa: BLE001 - it goes to whoever asked
                self.store.execute("ROLLBACK")
                pending.failed(error)
                continue
            if settings is not None:
                self.monitor.change(settings)
                self.monitor.save()
            self.store.execute("COMMIT")
            pending.done()

    def rows(self, sql):
        return self.store.execute(sql).fetchall()


@pytest.fixture
def run():
    return Run()


def threshold(value):
    def work(writing):
        told = writing.configured.definition("alert_rule", RULE_ID)
        writing.edit(Edit("alert_rule", RULE_ID, told | {"threshold": value}))
        return value

    return work


def in_rules(run):
    return run.rows("SELECT rule_version, threshold FROM alert_rules")


def test_law_a_change_holds_and_is_told_once_it_is_committed(run):
    future = run.changing.submit("eve", threshold(7))
    assert run.changing.waits
    pending = run.changing.take()
    run.store.execute("BEGIN")
    settings = pending.prepare(run.store, NOW_US, 5_000_000)
    assert settings.alert_rules == (replace(RULE, threshold=7.0),)
    run.monitor.change(settings)
    run.store.execute("COMMIT")
    assert not future.done()
    assert run.changing.configured.settings == FILE
    pending.done()
    assert future.result(0) == 7
    assert run.changing.configured.settings == settings
    assert in_rules(run) == [(2, 7.0)]
    assert run.rows(
        "SELECT seq, kind, id, made_by, epoch_us(made_time), epoch_us(from_time) FROM changes"
    ) == [(1, "alert_rule", RULE_ID, "eve", NOW_US, 5_000_000)]


def test_law_two_changes_of_one_rule_both_apply(run):
    def louder(writing):
        told = writing.configured.definition("alert_rule", RULE_ID)
        writing.edit(Edit("alert_rule", RULE_ID, told | {"severity": "critical"}))

    futures = [run.changing.submit("a", threshold(3)), run.changing.submit("b", louder)]
    run.turn()
    assert [future.result(0) for future in futures] == [3, None]
    (rule,) = run.changing.configured.settings.alert_rules
    assert (rule.threshold, rule.severity) == (3.0, "critical")
    assert in_rules(run) == [(3, 3.0)]


@pytest.mark.parametrize("fault", [QueryError("no"), ZeroDivisionError("ours")])
def test_law_work_that_fails_leaves_no_trace(run, fault):
    def work(writing):
        threshold(5)(writing)
        writing.cursor.execute("INSERT INTO posts_log VALUES ('k', 'h', now()::TIMESTAMP, 'a')")
        raise fault

    future = run.changing.submit("a", work)
    run.turn()
    assert future.exception(0) is fault
    assert run.rows("FROM changes_log") == run.rows("FROM posts_log") == []
    assert run.changing.configured.settings == FILE
    assert in_rules(run) == [(1, 1.0)]
    run.changing.submit("a", threshold(6))
    run.turn()
    assert in_rules(run) == [(2, 6.0)]


def test_error_an_edit_that_is_refused_comes_back_to_who_asked(run):
    future = run.changing.submit("a", threshold("high"))
    run.turn()
    with pytest.raises(QueryError, match="threshold must be a number"):
        future.result(0)


def test_law_work_sees_its_own_edits_and_nobody_elses(run):
    seen = []

    def work(writing):
        threshold(5)(writing)
        seen.append(writing.configured.definition("alert_rule", RULE_ID)["threshold"])
        seen.append(run.changing.configured.definition("alert_rule", RULE_ID)["threshold"])
        seen.append((writing.by, writing.now_us, writing.watermark_us))

    run.changing.submit("eve", work)
    run.turn()
    assert seen == [5.0, 1.0, ("eve", NOW_US, None)]


def test_law_who_does_not_wait_any_more_is_not_served(run):
    first, second = (run.changing.submit("a", threshold(n)) for n in (3, 4))
    assert first.cancel()
    run.turn()
    with pytest.raises(CancelledError):
        first.result(0)
    assert second.result(0) == 4
    assert len(run.rows("FROM changes_log")) == 1


def test_error_too_much_that_waits_is_refused():
    run = Run(waiting_max=2)
    for number in (3, 4):
        run.changing.submit("a", threshold(number))
    with pytest.raises(BusyError, match="at most 2 changes must wait at once, got one more"):
        run.changing.submit("a", threshold(5))
    run.turn()
    run.changing.submit("a", threshold(5))


def test_law_at_the_end_all_that_waits_is_told_and_nothing_more_is_taken(run):
    future = run.changing.submit("a", threshold(3))
    fault = QueryError("the run has ended")
    run.changing.fail_all(fault)
    assert future.exception(0) is fault
    assert run.changing.take() is None
    with pytest.raises(EndingError, match="the run is ending"):
        run.changing.submit("a", threshold(3))


def test_law_changes_from_many_threads_all_apply(run):
    woken = threading.Event()
    run.changing.on_submit = woken.set

    def add(number):
        def work(writing):
            told = {"model": "m", "metric": "count", "bound": "upper", "severity": "warning"}
            rule_id = f"00000000-0000-4000-8000-{number:012}"
            told |= {"threshold": number, "name": "same", "rule_id": rule_id}
            writing.edit(Edit("alert_rule", rule_id, told))

        return run.changing.submit("a", work)

    futures = []
    threads = [threading.Thread(target=lambda n=n: futures.append(add(n))) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert woken.is_set()
    run.turn()
    assert [future.result(0) for future in futures] == [None] * 12
    assert len(run.changing.configured.settings.alert_rules) == 13
    assert run.rows("SELECT count(*), count(DISTINCT rule_id) FROM alert_rules") == [(13, 13)]


def test_law_changes_hold_over_a_restart(run):
    told = NotificationSettings("eve", "m", "eve@b.c")

    def work(writing):
        eve = {"username": "eve", "email": "eve@b.c", "api_key_sha256": "ab" * 32}
        writing.edit(Edit("user", "eve", eve))
        definition = {"user": "eve", "model": "m", "type": "email", "destination": "eve@b.c"}
        writing.edit(Edit("notification", configuration_id(told), definition))

    run.changing.submit("a", work)
    run.changing.submit("a", threshold(8))
    run.turn()
    again = Run(store=run.store)
    assert again.changing.configured.settings == run.changing.configured.settings
    assert again.changing.configured.settings.notifications == (told,)
    assert again.monitor.watermark_us == NEVER
    assert in_rules(again) == [(2, 8.0)]  # not a new version
    (note,) = again.changing.notes()
    assert note == (
        "note: over REST: 1 alert rule changed, 1 notification configuration added, 1 user added;"
        " they hold over the file (relation `changes`)"
    )


def test_law_who_there_is_and_who_is_told_stand_in_the_relations_at_once(run):
    told = NotificationSettings("eve", "m", "eve@b.c")

    def come(writing):
        eve = {"username": "eve", "email": "eve@b.c", "role": "editor", "api_key_sha256": "ab" * 32}
        writing.edit(Edit("user", "eve", eve))
        definition = {"user": "eve", "model": "m", "type": "email", "destination": "eve@b.c"}
        writing.edit(Edit("notification", configuration_id(told), definition | {"enabled": False}))

    def leave(writing):
        writing.edit(Edit("notification", configuration_id(told), None))
        writing.edit(Edit("user", "eve", None))

    run.changing.submit("a", come)
    run.turn()
    assert run.rows("FROM users") == [("eve", "eve@b.c", "editor")]
    assert run.rows('SELECT "user", model_id, enabled FROM notification_configurations') == [
        ("eve", "m", False)
    ]
    run.changing.submit("a", leave)
    run.turn()
    assert run.rows("FROM users") == run.rows("FROM notification_configurations") == []
    definitions = run.rows("SELECT definition FROM changes WHERE kind = 'user' ORDER BY seq")
    assert definitions[1] == (None,)
    assert "abab" not in definitions[0][0]  # what is kept of a key is nobody's business
    assert "eve@b.c" in definitions[0][0]


def test_law_what_the_engine_does_not_depend_on_gives_it_no_new_settings(run):
    def work(writing):
        writing.edit(Edit("user", "eve", {"username": "eve"}))

    run.changing.submit("a", work)
    pending = run.changing.take()
    assert pending.prepare(run.store, NOW_US, NEVER) is None
