"""Configurations with rules, users and a mail server, for the tests that run the command with them.

JSON is YAML: what `configuration` writes is read as a person's file is.
"""

import json
import re

from commands import COMMAND, START_MS, encoded, prediction, rows

__all__ = [
    "COMMAND",
    "PAGE",
    "burst",
    "configuration",
    "minute",
    "notifications",
    "rule",
    "smtp",
    "statuses",
    "told_alerts",
]

ANA = "ana@example.org"
PAGE = {"username": "ana", "email": ANA, "role": "administrator"}


def smtp(port, **more):
    """A server that is asked again soon, and gets its mails soon."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "from": "bell@example.org",
        "retry": "100ms",
        "join": "100ms",
        "timeout": "5s",
    } | more


def notifications(server, *models, **more):
    """Tell ana of the alerts of these models."""
    told = {"user": "ana", "type": "email", "destination": ANA, **more}
    return {"smtp": server, "configurations": [told | {"model": model} for model in models]}


def rule(**more):
    """More than ten events a minute."""
    usual = {"model": "m", "metric": "count", "bound": "upper", "threshold": 10}
    return usual | {"severity": "critical", "lookback_period": 1} | more


def configuration(folder, name="run", **sections):
    """Write a configuration; gives its path. Data and input are in the folder."""
    usual = {
        "data": str(folder / "data"),
        "sources": [{"name": "s", "files": str(folder / "events.ndjson")}],
        "users": [PAGE],
        "alert_rules": [rule()],
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(usual | sections, indent=1))
    return path


def burst(minutes=10, busy=(3, 4, 7)):
    """An event every ten seconds, and every two seconds in the busy minutes of them.

    The first event is at the begin of a minute. With no more than ten events a minute allowed,
    the windows of the busy minutes fire at their ends.
    """
    seconds = [s for s in range(60 * minutes) if s % (2 if s // 60 in busy else 10) == 0]
    return encoded(prediction(s) for s in seconds)


def told_alerts(mail):
    """When each of the alerts of a mail was triggered, as it says."""
    return re.findall(r"^    triggered: (\S+ \S+) UTC\r?$", mail.get_content(), re.MULTILINE)


def statuses(data):
    """How many notifications there are in each state."""
    return dict(rows(data, "select status, count(*) from notifications group by all"))


def minute(number):
    """Give the end of a minute of the stream, µs."""
    return (START_MS + number * 60_000) * 1000
