"""One run after another over one data folder: settings that change, watermarks, retention."""

import io
import random
import time
from dataclasses import replace

import pytest
from commands import START_US, assert_same, encoded, lawful, one, prediction, relations, rows, vote

from connectors.memory import Memory
from engine.config import (
    Limits,
    ModelSettings,
    NotificationSettings,
    RuleSettings,
    Settings,
    SmtpSettings,
    TimeSettings,
    UserSettings,
)
from engine.errors import ConfigurationError
from flows.__main__ import main
from flows.ahead import Ended
from flows.run import run
from flows.session import Session, now_us

DAY_MS = 86_400_000
PLAIN = Settings(administrators=("root",))


def stream():
    """Events of three models: votes near and far, several voters, classes, numbers, properties."""
    chance = random.Random(4)
    for number in range(120):
        event = prediction(number, model_id=f"m{number % 3}", score=chance.randrange(100) / 100)
        event["prediction"] = chance.choice(["low", "mid", "high", 1.25])
        event["features"] = {"x": chance.gauss(0, 1), "city": "Boston"}
        event["predictions"] = {"p": chance.random()}
        if number % 2:
            event["label"] = chance.choice(["low", "mid", "high", 1.5])
        yield event
        if number % 5 == 0:
            far_ms = chance.choice([0, 1000, 2 * DAY_MS, 20 * DAY_MS])
            for voter in chance.sample(["ana", "bob", "root", "eve"], 2):
                yield {
                    **vote(number, chance.choice(["low", "mid"]), event["timestamp"] + far_ms),
                    "model_id": event["model_id"],
                    "by": voter,
                }


CONTENT = encoded(stream())

CHANGES = {
    "lookback": replace(PLAIN, time=TimeSettings(lookback_s=90)),
    "step": replace(PLAIN, time=TimeSettings(step_s=7)),
    "label_horizon": replace(PLAIN, time=TimeSettings(label_horizon_us=DAY_MS * 1000)),
    "administrators": replace(PLAIN, administrators=("ana", "eve")),
    "positive": replace(
        PLAIN,
        models=(
            ModelSettings("m0", positive="high", positive_property="p", threshold=0.25),
            ModelSettings("m1", positive="low", positive_property="predictions.p"),
        ),
    ),
    "lookback of a model": replace(PLAIN, models=(ModelSettings("m2", lookback_s=45, job="j"),)),
    "limit of models": replace(PLAIN, limits=Limits(models=2)),
    "limit of classes": replace(PLAIN, limits=Limits(classes=2)),
    "limit of series": replace(PLAIN, limits=Limits(series=4)),
}


def run_over(settings, data, content=CONTENT, start=0):
    source = Memory([content], source="s", name="p", start=start)
    assert run(replace(settings, data=str(data)), [source]) == 0


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    data = tmp_path_factory.mktemp("plain")
    run_over(PLAIN, data)
    return lawful(data)


@pytest.mark.parametrize("change", CHANGES)
def test_law_changed_settings_count_as_if_they_had_always_held(tmp_path, capsys, plain, change):
    run_over(PLAIN, tmp_path / "old")
    capsys.readouterr()
    run_over(CHANGES[change], tmp_path / "old", start=len(CONTENT))
    assert "all was counted anew" in capsys.readouterr().err
    run_over(CHANGES[change], tmp_path / "new")
    assert "counted anew" not in capsys.readouterr().err
    wanted = lawful(tmp_path / "new")
    assert wanted != plain, "the change must change something"
    if change == "limit of classes":
        # Which classes are the first ones may depend on arrival; how many rows count does not.
        totals = (
            "select model_id, time_basis, pane_start, sum(count) from confusion_matrix"
            " group by all order by all"
        )
        assert rows(tmp_path / "old", totals) == rows(tmp_path / "new", totals)
        names = "select count(distinct label), bool_or(label = '__other__') from confusion_matrix"
        assert one(tmp_path / "old", f"{names} where model_id = 'm0'") == (3, True)
        return
    assert_same(lawful(tmp_path / "old"), wanted)
    others = ("models", "jobs", "votes")
    assert relations(tmp_path / "old", others) == relations(tmp_path / "new", others)


def test_law_changed_settings_hold_for_what_comes_later(tmp_path):
    cut = CONTENT.index(b"\n", len(CONTENT) // 2) + 1
    changed = replace(CHANGES["administrators"], time=TimeSettings(lookback_s=90))
    run_over(PLAIN, tmp_path / "old", CONTENT[:cut])
    run_over(changed, tmp_path / "old", CONTENT, cut)
    run_over(changed, tmp_path / "new")
    assert_same(lawful(tmp_path / "old"), lawful(tmp_path / "new"))


def test_law_the_end_of_a_file_closes_nothing(tmp_path):
    at = 0
    for cut in (1, 9_001, len(CONTENT)):
        end = CONTENT.find(b"\n", cut - 1) + 1 or len(CONTENT)
        run_over(PLAIN, tmp_path / "cut", CONTENT[:end], at)
        at = end
        last = one(
            tmp_path / "cut", "select max(window_end), bool_or(is_interim) from metric_values"
        )
        newest, mark = one(
            tmp_path / "cut",
            "select max(greatest(event_time, label_time)), max(watermark) from events, progress",
        )
        assert last[0] > newest or last[0] <= mark
    run_over(PLAIN, tmp_path / "whole")
    assert_same(lawful(tmp_path / "cut"), lawful(tmp_path / "whole"))


# ---- watermark and progress -------------------------------------------------------------------


def drain(session):
    """Take what has come, and commit it."""
    until = time.monotonic() + 5
    quiet = 0
    while quiet < 3 and time.monotonic() < until:
        asked_s = time.monotonic()
        item = session.ahead.next(now_us())
        waited = time.monotonic() - asked_s > 0.005  # a batch is being made
        quiet = quiet + 1 if item is None and not waited else 0
        if item is not None:
            session.take(item)
    session.commit()


def asked(session, sql):
    return session._store.readers().cursor().execute(sql).fetchall()


INTERIM = (
    "select epoch_us(window_end), is_interim from metric_values where metric_name = 'count'"
    " and time_basis = 'event' order by 1"
)


def test_golden_the_watermark_waits_for_the_slowest_until_it_is_idle(tmp_path):
    patience_s = 0.3
    settings = Settings(
        data=str(tmp_path), time=TimeSettings(idle_timeout_us=int(patience_s * 1e6))
    )
    slow = Memory(source="s", name="slow", bounded=False)
    quick = Memory(source="s", name="quick", bounded=False)
    session = Session(settings, [slow, quick]).open()
    try:
        started = time.monotonic()
        quick.push(encoded([prediction(0), prediction(130)]))
        drain(session)
        session.rest()
        assert time.monotonic() - started < patience_s, "the machine is too slow for this test"
        marks = "select partition, epoch_us(watermark), events from progress order by 1"
        assert asked(session, marks) == [("quick", START_US + 120_000_000, 2), ("slow", None, 0)]
        assert asked(session, "select watermark from clock") == [(None,)]
        assert {interim for _, interim in asked(session, INTERIM)} == {True}
        # The slow one is silent for long enough: it holds nobody back any more.
        time.sleep(patience_s)
        session.rest()
        session.commit()
        overall = "select epoch_us(watermark) from clock"
        assert asked(session, overall) == [(START_US + 120_000_000,)]
        found = asked(session, INTERIM)
        assert [end for end, interim in found if not interim] == [START_US + 60_000_000]
        assert [end for end, interim in found if interim] == [START_US + 180_000_000]
        # What it brings late moves its own mark, and the overall one never back.
        slow.push(encoded([prediction(30)]))
        drain(session)
        assert asked(session, marks)[1] == ("slow", START_US + 20_000_000, 1)
        assert asked(session, overall) == [(START_US + 120_000_000,)]
        # An ended one does not hold the other back either.
        slow.end()
        quick.push(encoded([prediction(500)]))
        drain(session)
        assert asked(session, overall) == [(START_US + 490_000_000,)]
    finally:
        session.close()
    again = Session(settings, [Memory(source="s", name="quick", bounded=False)]).open()
    assert again.monitor.watermark_us == START_US + 490_000_000
    again.close()


# ---- alerts -----------------------------------------------------------------------------------

TOLD = Settings(
    time=TimeSettings(idle_timeout_us=100_000),
    alert_rules=(RuleSettings("m", "count", "upper", 2, "warning", lookback_s=60),),
    users=(UserSettings("ana", "ana@example.org"),),
    smtp=SmtpSettings("localhost", 25, "bell@example.org", join_s=0),
    notifications=(NotificationSettings("ana", "m", "ana@example.org"),),
)
BOTH = (
    "select (select count(*) from alerts), (select list(distinct n.status) from alerts"
    " join notifications n using (alert_id))"
)


@pytest.fixture
def rested(tmp_path):
    """A session where time alone has just given an alert, not committed yet; and its mails."""
    slow = Memory(source="s", name="slow", bounded=False)
    quick = Memory(source="s", name="quick", bounded=False)
    mails = io.StringIO()
    session = Session(replace(TOLD, data=str(tmp_path)), [slow, quick], mails).open()
    try:
        slow.push(encoded([prediction(0)]))
        quick.push(encoded(prediction(second) for second in (1, 2, 130)))
        drain(session)
        time.sleep(0.1)
        session.rest()
        assert asked(session, BOTH) == [(0, None)]
        assert mails.getvalue() == ""
        yield session, mails
    finally:
        session.close()


def test_golden_alerts_that_time_alone_gives_are_told_in_their_transaction(rested):
    session, mails = rested
    session.commit()
    assert asked(session, BOTH) == [(1, ["grouped"])]
    assert session.counts.alerts == 1
    assert mails.getvalue().count("\nSubject: [warning] Count upper bound: m\n") == 1
    session.rest()  # the outcome comes while nothing else does
    assert asked(session, BOTH) == [(1, ["printed"])]
    session.rest()
    session.drain()
    assert mails.getvalue().count("Subject") == 1
    assert session.mailing.unsent == 0


def test_fault_alerts_that_were_rolled_back_are_told_to_nobody(rested):
    session, mails = rested
    session.fail(RuntimeError("a fault of ours"))
    session.drain()
    assert asked(session, BOTH) == [(0, None)]
    assert mails.getvalue() == ""


# ---- retention and mapping --------------------------------------------------------------------


def test_golden_old_rejects_go_at_the_next_start(tmp_path):
    settings = replace(PLAIN, retention_us=(("rejects", 300_000),))
    run_over(settings, tmp_path, b"{}\n" + encoded([prediction(0)]))
    assert one(tmp_path, "select count(*) from rejects") == (1,)
    time.sleep(0.4)
    run_over(settings, tmp_path, b"", 100)
    assert one(tmp_path, "select count(*) from rejects") == (0,)
    assert one(tmp_path, "select count(*) from events") == (1,)


def test_golden_old_segments_of_events_go_and_what_they_counted_stays(tmp_path):
    settings = replace(PLAIN, retention_us=(("events", 3_600_000_000),))
    old = encoded([prediction(0), prediction(1, label="a"), vote(0, "a", by="ana"), prediction(2)])
    new = encoded([prediction(7_200), prediction(7_201)])
    # A segment is a million lines; blank ones count as well.
    content = old + b"\n" * (1 << 20) + new
    run_over(settings, tmp_path, content)
    assert one(tmp_path, "select count(*) from events") == (5,)
    counted = relations(tmp_path, ["confusion_matrix", "metric_values", "models"])
    run_over(settings, tmp_path, content, len(content))
    assert rows(tmp_path, "select event_id from events order by 1") == [("e7200",), ("e7201",)]
    assert one(tmp_path, "select count(*) from votes") == (0,)
    assert one(tmp_path, "select count(*) from outcomes") == (0,)
    assert relations(tmp_path, ["confusion_matrix", "metric_values", "models"]) == counted
    # What was dropped cannot be counted anew.
    changed = replace(settings, time=TimeSettings(lookback_s=90))
    with pytest.raises(ConfigurationError, match="once retention has dropped events"):
        run_over(changed, tmp_path, content, len(content))
    run_over(settings, tmp_path, content, len(content))


def test_golden_foreign_events_through_a_configuration(tmp_path, capsys):
    source = tmp_path / "alerts.ndjson"
    source.write_bytes(
        b'{"@timestamp": "2023-11-14T22:14:00Z", "_id": 7, "arcanna": {"result_label": "drop",'
        b' "score": [0.75]}, "host": "a.b", "analyst": "drop"}\n'
        b'{"@timestamp": "2023-11-14T22:14:30Z", "_id": "8", "arcanna": {"result_label": "keep"},'
        b' "analyst": null}\n'
        b'{"@timestamp": "soon", "_id": "9", "arcanna": {"result_label": "keep"}}\n'
    )
    config = tmp_path / "config.yaml"
    config.write_text(
        f"data: {tmp_path}/data\n"
        "sources:\n"
        "  - name: alerts\n"
        f"    files: {source}\n"
        "    mapping:\n"
        "      timestamp: '$.\"@timestamp\"'\n"
        "      id: $._id\n"
        "      model_id: triage\n"
        "      prediction: $.arcanna.result_label\n"
        "      score: $.arcanna.score[0]\n"
        "      label: $.analyst\n"
        "      features.host: $.host\n"
    )
    assert main(["run", str(config)]) == 0
    assert "3 lines" in capsys.readouterr().err
    found = rows(
        tmp_path / "data",
        "select model_id, event_id, prediction, score, label, properties->>'host' from events"
        " order by event_id",
    )
    assert found == [
        ("triage", "7", "drop", 0.75, "drop", "a.b"),
        ("triage", "8", "keep", None, None, None),
    ]
    (reason,) = one(tmp_path / "data", "select reason from rejects")
    assert "timestamp" in reason
    assert '"soon"' in reason


def test_law_a_run_goes_on_as_if_it_had_never_stopped_wherever_inputs_end(tmp_path):
    spans = {"a": [[0], [60]], "b": [[0, 5], [20, 120, 130]], "c": [[1], [100, 200, 300, 310]]}
    blocks = {
        name: [encoded(map(prediction, seconds)) for seconds in parts]
        for name, parts in spans.items()
    }

    def marks(data, batches_each):
        settings = Settings(data=str(data), time=TimeSettings(allowed_lateness_us=0))
        while True:
            at = {}
            if (data / "bellwether.duckdb").exists():
                at = dict(rows(data, "SELECT partition, position FROM progress"))
            parts = [Memory(b, source="s", name=n, start=at.get(n, 0)) for n, b in blocks.items()]
            session = Session(settings, parts).open()
            taken = 0
            while not session.ahead.finished and taken < batches_each:
                item = session.ahead.next(now_us())
                if item is not None:
                    session.take(item)
                    taken += not isinstance(item, Ended)
            session.commit()
            done = session.ahead.finished
            session.close()
            if done:
                return rows(data, "SELECT event_id, watermark FROM events_kept ORDER BY seq")

    calm = marks(tmp_path / "calm", 100)
    assert len({mark for _, mark in calm}) > 3
    for batches_each in (1, 2, 3, 4):
        assert marks(tmp_path / f"cut-{batches_each}", batches_each) == calm
