"""The outbox promises each alert to each reader once, and the same mail after any crash.

The laws walk random histories of alerts, attempts and roll-backs against a plain dictionary; the
goldens pin ids, which stand in stores and Message-IDs for ever, and the back-off.
"""

from dataclasses import replace
from hashlib import md5
from uuid import UUID, uuid3

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outbox_tables import NOON, NOON_US, alert, outbox, write

from engine.asking import number
from engine.config import NotificationSettings
from engine.notifications import Outcome, configuration_id
from engine.outbox import (
    ALERTS_A_MAIL_MAX,
    BACK_OFF_MAX_US,
    Waiting,
    due,
    enqueue,
    group,
    record,
    resume,
    waiting,
)

SECOND = 1_000_000
ANA = NotificationSettings("ana", "triage", "ana@example.org")
BO = NotificationSettings("bo", "triage", "bo@example.org")


def filled(*alerts, configurations=(ANA,), now_us=NOON_US):
    connection = outbox()
    enqueue(connection, configurations, write(connection, *alerts), now_us)
    return connection


def rows(connection, columns="status, attempts, last_error"):
    return connection.execute(f"SELECT {columns} FROM notifications_log ORDER BY ALL").fetchall()


def test_oracle_the_id_is_uuid3_of_alert_and_configuration():
    connection = filled(alert(1), alert(2), configurations=(ANA, BO))
    namespace = UUID("c2f4b9d0-18a3-3c6e-b7f1-7d5e2a94c836")
    found = rows(connection, "notification_id, alert_id, configuration_id")
    assert len(found) == 4
    assert all(str(uuid3(namespace, f"{a}\0{c}")) == key for key, a, c in found)


def test_golden_the_id_of_a_configuration_never_changes():
    assert configuration_id(ANA) == "1ca21ef1-b7cf-30cd-a2ff-58f81940ea6b"
    assert configuration_id(replace(ANA, destination="new@example.org")) == configuration_id(ANA)


def test_contract_AR_19_each_reader_of_the_model_is_told_once():
    connection = outbox()
    other = replace(BO, model="other")
    alerts = write(connection, alert(1), alert(2))
    assert enqueue(connection, (ANA, BO, other), alerts, NOON_US) == 4
    assert enqueue(connection, (ANA, BO, other), alerts, NOON_US + 5) == 0
    assert rows(connection, "created_time") == [(NOON,)] * 4


def test_contract_AR_25_a_configuration_that_is_not_enabled_tells_nobody():
    connection = outbox()
    alerts = write(connection, alert())
    off = replace(ANA, enabled=False)
    assert enqueue(connection, (off,), alerts, NOON_US) == 0
    assert enqueue(connection, (off, ANA), alerts, NOON_US) == 0  # the first of one id counts
    assert enqueue(connection, (), alerts, NOON_US) == 0
    assert enqueue(connection, (ANA,), alerts.slice(0, 0), NOON_US) == 0


def test_what_fires_within_the_time_to_join_becomes_one_mail_per_destination():
    connection = filled(alert(1), alert(2), configurations=(ANA, BO))
    enqueue(connection, (ANA,), write(connection, alert(3)), NOON_US + 2 * SECOND)
    assert group(connection, NOON_US + 3 * SECOND - 1, 3 * SECOND, "example.org") == 0
    assert group(connection, NOON_US + 3 * SECOND, 3 * SECOND, "example.org") == 5
    mails = {each.destination: each for each in due(connection, NOON_US + 3 * SECOND)}
    assert [a.alert_id[-1] for a in mails["ana@example.org"].alerts] == ["1", "2", "3"]
    assert [a.alert_id[-1] for a in mails["bo@example.org"].alerts] == ["1", "2"]
    ana = mails["ana@example.org"]
    assert ana.alerts[0] == alert(1)
    assert (ana.message_id, ana.attempt) == (f"<{ana.group_id}@example.org>", 1)
    assert waiting(connection) == Waiting(0, 5, None, NOON_US + 3 * SECOND)


def test_two_users_with_one_address_get_one_mail_with_each_alert_once():
    shared = replace(BO, destination=ANA.destination)
    connection = filled(alert(1), alert(2), configurations=(ANA, shared))
    group(connection, NOON_US, 0, "d")
    (mail,) = due(connection, NOON_US)
    assert [a.alert_id[-1] for a in mail.alerts] == ["1", "2"]


def test_a_mail_has_a_limit():
    count = 2 * ALERTS_A_MAIL_MAX + 1
    connection = filled(*(alert(n) for n in range(count)))
    group(connection, NOON_US, 0, "d")
    mails = due(connection, NOON_US)
    assert sorted(len(mail.alerts) for mail in mails) == [1, ALERTS_A_MAIL_MAX, ALERTS_A_MAIL_MAX]
    assert len({a.alert_id for mail in mails for a in mail.alerts}) == count
    first, *rest = due(connection, NOON_US, most=1)
    assert rest == []
    assert due(connection, NOON_US, busy={m.group_id for m in mails} - {first.group_id}) == [first]


def test_oracle_the_group_follows_from_its_members_alone():
    one, two = (filled(*(alert(n) for n in order)) for order in ((1, 2, 3), (3, 1, 2)))
    for connection in (one, two):
        group(connection, NOON_US, 0, "d")
    assert due(one, NOON_US) == due(two, NOON_US)
    ids = sorted(key for (key,) in rows(one, "notification_id"))
    assert due(one, NOON_US)[0].group_id == md5(",".join(ids).encode()).hexdigest()


def test_golden_the_back_off_doubles_up_to_ten_minutes():
    connection = filled(alert())
    group(connection, NOON_US, 0, "d")
    now_us, delays = NOON_US, []
    for attempt in range(1, 11):
        (mail,) = due(connection, now_us)
        assert mail.attempt == attempt
        record(connection, [Outcome(mail.group_id, attempt, "retry", "busy")], now_us, 5 * SECOND)
        next_us = waiting(connection).next_us
        assert due(connection, next_us - 1) == []
        delays.append((next_us - now_us) // SECOND)
        now_us = next_us
    assert delays == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert rows(connection) == [("grouped", 10, "busy")]


@pytest.mark.parametrize("status", ["sent", "parked", "printed"])
def test_what_is_settled_is_not_due_again(status):
    connection = filled(alert(1), alert(2))
    group(connection, NOON_US, 0, "d")
    (mail,) = due(connection, NOON_US)
    reason = None if status == "sent" else "550 no such user"
    outcome = Outcome(mail.group_id, 1, status, reason)
    assert record(connection, [outcome], NOON_US + 7, SECOND) == 2
    assert record(connection, [replace(outcome, status="retry")], NOON_US + 8, SECOND) == 0
    assert rows(connection) == [(status, 1, reason)] * 2
    sent = number(connection, "SELECT epoch_us(max(sent_time)) FROM notifications")
    assert sent == (NOON_US + 7 if status == "sent" else 0)
    assert due(connection, NOON_US + BACK_OFF_MAX_US) == []
    assert resume(connection, NOON_US) == 0


def test_at_a_start_every_open_mail_is_due():
    connection = filled(alert())
    group(connection, NOON_US, 0, "d")
    (mail,) = due(connection, NOON_US)
    record(connection, [Outcome(mail.group_id, 1, "retry", "busy")], NOON_US, 60 * SECOND)
    assert due(connection, NOON_US + 1) == []
    assert resume(connection, NOON_US + 1) == 1
    assert due(connection, NOON_US + 1) == [replace(mail, attempt=2)]


def test_fault_a_clock_set_back_by_a_day_holds_nothing():
    connection = filled(alert(1), now_us=NOON_US)
    back_us = NOON_US - 86_400 * SECOND
    assert group(connection, back_us, 3 * SECOND, "d") == 1
    (mail,) = due(connection, back_us)
    record(connection, [Outcome(mail.group_id, 1, "retry", "busy")], NOON_US, SECOND)
    assert due(connection, back_us) == [replace(mail, attempt=2)]


def test_names_with_sql_in_them_are_only_data():
    name = "x'; DROP TABLE alerts_log; --\"\n"
    connection = outbox()
    alerts = write(connection, alert(model_id=name, rule_name=name, group_value=name))
    configuration = NotificationSettings(name, name, "o'brien@example.org")
    assert enqueue(connection, [configuration], alerts, NOON_US) == 1
    group(connection, NOON_US, 0, "d'; --")
    (mail,) = due(connection, NOON_US, busy={name})
    assert (mail.destination, mail.alerts[0].rule_name) == ("o'brien@example.org", name)
    record(connection, [Outcome(mail.group_id, 1, "parked", name)], NOON_US, SECOND)
    assert rows(connection) == [("parked", 1, name)]


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["alert", "group", "sent", "retry", "parked", "back"]),
        st.integers(0, 4),
    ),
    max_size=15,
)


@settings(max_examples=30, deadline=None)
@given(acts=ACTS)
def test_law_every_notification_is_in_one_mail_and_settled_at_most_once(acts):
    connection = outbox()
    now_us, seen, mails, settled = NOON_US, set(), {}, {}
    for act, choice in acts:
        now_us += SECOND
        connection.execute("BEGIN")
        before = (set(seen), dict(mails), dict(settled))
        if act == "alert":
            new = alert(choice)
            known = new.alert_id in seen
            alerts = write(connection, *([] if known else [new]))
            enqueue(connection, (ANA, BO), alerts, now_us)
            seen.add(new.alert_id)
        elif act == "group":
            group(connection, now_us, 0, "d")
        elif act != "back":
            for mail in due(connection, now_us)[:1]:
                outcome = Outcome(mail.group_id, mail.attempt, act, "why")
                record(connection, [outcome], now_us, 1)
                if act != "retry":
                    settled[mail.group_id] = act
        for mail in due(connection, now_us + BACK_OFF_MAX_US):
            content = (mail.destination, mail.message_id, mail.grouped_time, mail.alerts)
            assert mails.setdefault(mail.group_id, content) == content
            assert mail.group_id not in settled
        if act == "back" or choice == 4:
            connection.execute("ROLLBACK")
            seen, mails, settled = before
        else:
            connection.execute("COMMIT")
    told = [(content[0], a.alert_id) for content in mails.values() for a in content[3]]
    assert len(told) == len(set(told))
    assert len(told) + waiting(connection).pending == 2 * len(seen)


def test_error_a_missing_table_is_told_not_hidden():
    with pytest.raises(duckdb.CatalogException):
        waiting(duckdb.connect())
