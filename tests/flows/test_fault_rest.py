"""Kill -9 a served run: what was answered with 202 is there afterwards, once.

Ids of events would hide a line that was taken twice, so each post also has a bad line of its own,
which `rejects` would then show twice. Beside it metrics are made and a rule is changed: what was
answered with success is in force afterwards. `BELLWETHER_REST_KILLS` sets the kills (200 at night).
"""

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import duckdb

from engine.metrics import metric_id

KILLS = int(os.environ.get("BELLWETHER_REST_KILLS", "3"))
COMMAND = [sys.executable, "-m", "flows", "serve", "--port", "0"]
CLIENTS, LINES = 4, 20
START_MS = 1_700_000_000_000
RULES = "/api/v3/models/m/alert_rules"


class Client(threading.Thread):
    """Asks for one thing after another, of whatever server there is."""

    def __init__(self):
        super().__init__(daemon=True)
        self.next, self.port, self.acknowledged, self.going = 0, None, [], True
        self.codes = set()

    def run(self):
        while self.going:
            port = self.port
            if port is None:
                time.sleep(0.01)
                continue
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                while self.going:
                    self.step(connection)
            except (OSError, http.client.HTTPException):
                if self.port == port:
                    self.port = None
            finally:
                connection.close()

    def ask(self, connection, method, path, body, headers):
        connection.request(method, path, body, headers)
        with connection.getresponse() as answer:
            told = json.loads(answer.read())
        self.codes.add(answer.status)
        return answer.status, told


class Poster(Client):
    """Posts one batch after another; a batch without an answer is posted again, under its key."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def body(self, batch):
        first = (self.number * 100_000 + batch) * LINES
        lines = [
            json.dumps({"model_id": "m", "id": str(first + n), "timestamp": START_MS + first + n})
            for n in range(LINES)
        ]
        return "\n".join([*lines, f"bad {self.number}-{batch}"]).encode()

    def step(self, connection):
        headers = {"Idempotency-Key": f"{self.number}-{self.next}"}
        status, told = self.ask(connection, "POST", "/events", self.body(self.next), headers)
        if status == 202:
            assert told["accepted"] == LINES, told
            assert [each["line"] for each in told["rejected"]] == [LINES + 1]
            self.acknowledged.append(self.next)
            self.next += 1
        else:
            time.sleep(0.05)


class Changer(Client):
    """Makes a metric, then a rule on it, then changes the rule's threshold to its number."""

    rule = None

    def step(self, connection):
        if self.next % 3 == 0:
            query = {"select": [{"function": "count"}]}
            body = {"name": f"n{self.next}", "query": query, "endpoint": "inference/query"}
            self.send(connection, "POST", "/api/v4/models/m/metrics", body)
            self.metric = str(metric_id("m", body["name"]))
        elif self.next % 3 == 1:
            rule = {"bound": "upper", "threshold": -1, "severity": "warning"}
            rule |= {"metric_id": self.metric, "name": f"r{self.next}", "enabled": False}
            self.rule = self.send(connection, "POST", RULES, rule).get("id", self.rule)
        else:
            self.send(connection, "PATCH", f"{RULES}/{self.rule}", {"threshold": self.next})

    def send(self, connection, method, path, body):
        """Send it, and go on when it was done, or had been done before its answer was lost."""
        headers = {"Content-Type": "application/json"}
        status, told = self.ask(connection, method, path, json.dumps(body), headers)
        if status in {200, 201}:
            self.acknowledged.append((self.next, told))
        if status in {200, 201, 409}:
            self.next += 1
        elif status == 404:  # the model is not known yet
            self.told = told
            time.sleep(0.05)
        else:
            raise AssertionError(told)
        return told


def started(folder, words=()):
    """Start the command; gives the process and the port that it says."""
    told = folder.parent / "told.txt"
    with told.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, "--data", str(folder), *words], stderr=file, stdin=subprocess.DEVNULL
        )
    while process.poll() is None:
        found = re.search(r"serving http://\S+:(\d+)\n", told.read_text())
        if found:
            return process, int(found[1])
        time.sleep(0.02)
    raise AssertionError(told.read_text())


def test_fault_what_was_acknowledged_survives_kills_once(tmp_path):
    chance, folder = random.Random(11), tmp_path / "data"
    posters, changer = [Poster(number) for number in range(CLIENTS)], Changer()
    for poster in (*posters, changer):
        poster.start()
    for kill in range(KILLS + 1):
        process, port = started(folder)
        for poster in (*posters, changer):
            poster.port = port
        time.sleep(chance.uniform(0.1, 1.0))
        if kill < KILLS:
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    for poster in (*posters, changer):
        poster.going = False
    for poster in (*posters, changer):
        poster.join(30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    check(folder, posters)
    check_changes(folder, changer)


def check_changes(folder, changer):
    with duckdb.connect(str(folder / "bellwether.duckdb"), read_only=True) as connection:
        metrics = {
            str(row[0]) for row in connection.execute("SELECT metric_id FROM metrics").fetchall()
        }
        rules = dict(connection.execute("SELECT rule_id, threshold FROM alert_rules").fetchall())
    assert changer.acknowledged, (changer.codes, changer.told)
    for number, told in changer.acknowledged:
        if number % 3 == 0:
            assert told["id"] in metrics
        else:
            assert told["id"] in rules
    changed = [(number, told["id"]) for number, told in changer.acknowledged if number % 3 == 2]
    for number, rule in changed:
        assert rules[rule] == number


def check(folder, posters):
    with duckdb.connect(str(folder / "bellwether.duckdb"), read_only=True) as connection:
        bad = dict(connection.execute("SELECT raw, count(*) FROM rejects GROUP BY raw").fetchall())
        ids = {int(row[0]) for row in connection.execute("SELECT event_id FROM events").fetchall()}
        positions = connection.execute("SELECT position FROM rejects").fetchall()
    assert len(positions) == len(set(positions))
    for poster in posters:
        assert poster.acknowledged == list(range(poster.next))
        assert poster.acknowledged, poster.codes
        assert poster.codes <= {202, 429, 503}
        for batch in poster.acknowledged:
            assert bad[f"bad {poster.number}-{batch}"] == 1
            first = (poster.number * 100_000 + batch) * LINES
            assert ids.issuperset(range(first, first + LINES))
    assert set(bad.values()) == {1}
