"""Sends what Scale's web UI sends, and sees that it can read the answers: `drive.py URL KEY`.

There is no published client; the requests are those of the UI's public sources (`wire.md` beside
this file). Events of runs are handed in first, so that there is something to plot.
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HOUR_MS = 3_600_000
TYPES = (("parse", "1.0"), ("render", "2.1"))


class Ui:
    """Asks with a token, as the UI does; its parameters object becomes the query."""

    def __init__(self, url, key):
        self.url, self.key = url, key

    def get(self, path, query=""):
        """Give the answer to a GET."""
        request = urllib.request.Request(
            f"{self.url}{path}{query and '?' + query}",
            headers={"Authorization": f"Token {self.key}", "Accept": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def fault(self, path, query=""):
        """Give the status and the detail that a GET fails with."""
        try:
            self.get(path, query)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["detail"]
        return 200, ""

    def post(self, events):
        """Hand in events."""
        lines = "".join(json.dumps(event) + "\n" for event in events).encode()
        request = urllib.request.Request(
            f"{self.url}/events",
            data=lines,
            headers={"Authorization": f"Token {self.key}", "Content-Type": "application/x-ndjson"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202, answer.status


def words(params):
    """Write a parameters object as the UI does: null as a word, a list many times."""
    told = []
    for name, value in params.items():
        each = value if isinstance(value, list) else ["null" if value is None else value]
        told.append("&".join(f"{name}={urllib.parse.quote(str(one))}" for one in each))
    return "&".join(told)  # an empty list leaves `&&` behind


def runs(now_ms):
    """Give runs of two job types, some hours ago."""
    for number in range(12):
        name, version = TYPES[number % 2]
        yield {
            "type": "run",
            "id": f"drive-{now_ms}-{number}",
            "timestamp": now_ms - (2 + number // 4) * HOUR_MS,
            "job_type": name,
            "version": version,
            "status": "failed" if number == 5 else "completed",
            "queue_time": number / 2,
        }


def day(at_ms):
    """Write a day as the UI does."""
    return time.strftime("%Y-%m-%d", time.gmtime(at_ms / 1000))


def main(url, key, *_):
    """Drive the API."""
    ui, now_ms = Ui(url, key), time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS
    ui.post(runs(now_ms))
    types = ui.get("/v6/metrics")["results"]
    assert [one["name"] for one in types[:3]] == ["job-types", "ingests", "errors"]
    told = ui.get("/v6/metrics/job-types")
    assert [one["param"] for one in told["filters"]] == ["name", "version"]
    choices = {choice["title"]: choice for choice in told["choices"]}
    ids = [choices[name]["id"] for name, _ in TYPES]
    for choice in told["choices"]:
        assert {"id", "name", "version", "title", "is_active", "icon_code"} <= set(choice)
    units = {one["name"]: (one["units"], one["group"]) for one in told["columns"]}
    assert units["queue_time_max"] == ("seconds", "queue_time")
    plots(ui, now_ms, ids)
    path = "/v6/metrics/job-types/plot-data"
    assert ui.fault("/v6/metrics/no-type")[0] == 404
    assert ui.fault(path, "page=9")[0] == 404
    assert ui.fault(path, "column=no_column")[0] == 400
    assert Ui(url, "no such key").fault("/v6/metrics")[0] == 401


def plots(ui, now_ms, ids):
    """Ask for the charts of the UI."""
    path = "/v6/metrics/job-types/plot-data"
    params = {
        "page": None,
        "page_size": None,
        "started": day(now_ms - 48 * HOUR_MS),
        "ended": day(now_ms + 24 * HOUR_MS),
        "choice_id": ids,
        "column": ["failed_count", "completed_count"],
        "group": ["overview", "overview"],
        "dataType": "job-types",
    }
    found = ui.get(path, words(params))["results"]
    names = [one["column"]["name"] for one in found]
    assert names[:2] == params["column"], names
    by_choice = {}
    for value in found[1]["values"]:
        by_choice[value["id"]] = by_choice.get(value["id"], 0) + value["value"]
    assert min(by_choice[one] for one in ids) >= 5, by_choice
    # One filter alone: the UI reads its id all the same.
    one = ui.get(path, words({**params, "choice_id": ids[:1], "column": "completed_count"}))
    assert {value["id"] for value in one["results"][0]["values"]} == set(ids[:1])
    # No filter: a list without entries, nulls, and parameters that are the UI's own.
    feed = {
        "choice_id": [],
        "column": ["completed_count"],
        "colors": ["[object Object]"],
        "dataType": "",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now_ms / 1000 - 86_400 * 3)),
        "ended": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now_ms / 1000 + 86_400)),
        "group": None,
        "page": 1,
        "page_size": None,
    }
    told = ui.get(path, words(feed))
    assert (told["count"], told["next"], told["previous"]) == (1, None, None)
    values = told["results"][0]["values"]
    assert all("id" not in value for value in values)
    times = [value["datetime"] for value in values]
    assert times == sorted(times)
    assert len({at[:13] for at in times}) == len(times) >= 3  # hourly, each hour once
    assert all(at[13:] == ":00:00Z" for at in times)


if __name__ == "__main__":
    main(*sys.argv[1:])
