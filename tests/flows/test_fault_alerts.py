"""Kill -9 at random moments, with a mail server that fails half of the time: alerts exactly once.

Three models, fifty rules of all kinds, and lines that keep coming while the command is killed and
started again. Afterwards the store has the alerts and evaluations of one calm run, row by row;
everybody was told of every alert, and what came twice is the same mail. `BELLWETHER_KILLS` sets
the number of kills (50 at night).
"""

import itertools
import os
import random
import re
import signal
import subprocess
import time
from collections import defaultdict

import pytest
from alert_runs import configuration, notifications, smtp, statuses
from commands import COMMAND, assert_equal, done, encoded, eventually, one, owned, relations, rows
from crash_settings import declared_rule
from feeding import Feeder
from rule_traces import declared, random_rules, trace
from smtp_server import MailServer

KILLS = int(os.environ.get("BELLWETHER_KILLS", "4"))
LINES, RULES, SEED = min(20_000, 1_750 * KILLS), 50, 3
START_S, LIFE_S, MAIL_S, FIRST_MAIL_S = 1.5, 3.0, 10.0, 60.0  # at most, before a kill
USERS = {"ana": ("m0", "m1"), "bo": ("m1",)}  # nobody is told of m2
RELATIONS = ("alerts", "evaluations", "alert_rules", "events", "votes")
FAULTS = (
    *("MAIL 451 4.3.0 not now", "RCPT 450 4.2.1 busy", "DATA 452 4.2.2 full", "DATA drop"),
    *("DATA forget", "DATA forget"),
    *(None,) * 6,
)


def sections(port):
    rules = random_rules(SEED, RULES)
    told = [notifications(smtp(port), *models) for models in USERS.values()]
    for name, one_told in zip(USERS, told, strict=True):
        for each in one_told["configurations"]:
            each |= {"user": name, "destination": f"{name}@example.org"}
    named = [each for one_told in told for each in one_told["configurations"]]
    models = [{"id": m.id} | ({"positive": m.positive} if m.positive else {}) for m in declared()]
    return {
        "models": models,
        "metrics": [
            {"model": each.settings.model, "name": each.settings.metric, "query": each.query}
            for each in rules
        ],
        "alert_rules": [declared_rule(each.settings) for each in rules],
        "users": [{"username": name, "email": f"{name}@example.org"} for name in USERS]
        + [{"username": "root", "role": "administrator"}],
        "notifications": told[0] | {"configurations": named},
    }


@pytest.fixture(scope="module")
def lines():
    return [encoded([event]) for event in trace(SEED, LINES) if event.get("type") != "reference"]


@pytest.fixture(scope="module")
def calm(lines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    (folder / "events.ndjson").write_bytes(b"".join(lines))
    done("run", configuration(folder, **sections(25)), "--dry-run-mail")
    return relations(folder / "data", RELATIONS)


def wait_a_while(process, number, server, data, chance):
    """Wait for the moment of a kill: as it starts, as it mails, or any time it runs."""
    if number % 4 == 1:
        time.sleep(chance.uniform(0, START_S))
        return
    eventually(lambda: (owned(data) or {}).get("pid") == process.pid, within_s=60)
    if number % 4 == 2:
        before = server.connections
        until = time.monotonic() + (MAIL_S if before else FIRST_MAIL_S)  # the first one does come
        while server.connections == before and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))
    else:
        time.sleep(chance.uniform(0, LIFE_S))


def kill_again_and_again(path, data, server, chance):
    """Start the command and kill it, `KILLS` times; gives how many it met."""
    hits = 0
    for number in range(KILLS):
        process = subprocess.Popen(
            [*COMMAND, "run", str(path), "--follow"], stderr=subprocess.DEVNULL
        )
        wait_a_while(process, number, server, data, chance)
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
    return hits


def run_to_the_end(path, data):
    """Run without `--follow` until every mail was sent; gives the summaries."""
    told = [done("run", path, timeout=300)]
    while set(statuses(data)) != {"sent"} and len(told) < 6:
        told.append(done("run", path, timeout=300))
    return told


def assert_told(mails, data):
    """Nobody missed an alert, and what came again is the same mail; gives the repeats."""
    copies = defaultdict(list)
    for mail in mails:
        copies[mail["Message-ID"]].append(mail)
    assert all(len({mail.raw for mail in same}) == 1 for same in copies.values())
    told = [
        (same[0]["To"], alert)
        for same in copies.values()
        for alert in re.findall(r"^    alert:     (\S+)\r?$", same[0].get_content(), re.MULTILINE)
    ]
    wanted = [
        (f"{name}@example.org", alert)
        for name, models in USERS.items()
        for model in models
        for (alert,) in rows(data, f"select alert_id from alerts where model_id = '{model}'")
    ]
    assert statuses(data) == {"sent": len(wanted)}
    missed = sorted(set(wanted) - set(told))
    assert not missed[:4], f"{len(missed)} are in no mail"
    assert len(told) == len(wanted), "an alert is in two mails, or nobody should have been told"
    return len(mails) - len(copies)


def attack(lines, folder):
    """Feed, kill, run to the end with every mail at hand; gives figures."""
    chance = random.Random(SEED)
    faults = (chance.choice(FAULTS) for _ in itertools.count())
    data = folder / "data"
    feeder = Feeder(folder / "events.ndjson", lines, span_s=0.6 * KILLS * LIFE_S)
    with MailServer(faults) as server:
        path = configuration(folder, **sections(server.port))
        feeder.path.touch()
        feeder.start()
        hits = kill_again_and_again(path, data, server, chance)
        feeder.finish()
        there = one(data, "select (select count(*) from events), (select count(*) from alerts)")
        early = len(server.mails)
        told = run_to_the_end(path, data)
        repeats = assert_told(server.mails, data)
        mails = len(server.mails)
    return {
        "hits": hits,
        "there": there,
        "early": early,
        "mails": mails,
        "repeats": repeats,
        "told": told,
    }


def test_fault_alerts_and_mails_survive_kills_and_a_flaky_mail_server(lines, calm, tmp_path):
    assert len({alert[5] for alert in calm["alerts"]}) > RULES // 2
    figures = attack(lines, tmp_path)
    assert figures["hits"], "no run was still going when it was killed"
    assert figures["there"][1], "no alert was there to be hit"
    assert_equal(relations(tmp_path / "data", RELATIONS), calm)
