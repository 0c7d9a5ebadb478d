"""Every operation of the description against what nobody expects: no 5xx, and all of it as told.

Schemathesis makes requests from the description, such as fit it and such as do not; each answer
must have a status, a kind of content and a body that the description tells. Then come the same
hostile values for every parameter and every body. `BELLWETHER_FUZZ=N` makes N requests of each
kind for each operation; in the everyday suite they are few.
"""

import itertools
import json
import os
import time
import urllib.parse

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import KEYS, serving

from connectors.rest.app import make_app
from connectors.rest.rooms import ROOMS

EXAMPLES = int(os.environ.get("BELLWETHER_FUZZ", "1"))
TIMEOUT_S = 20
# An hour ago: what is logged without a time is of now, and every bucket between is closed then.
START_MS = (int(time.time()) // 3600 - 1) * 3_600_000  # noqa: TID251 - as the server sees it
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
HEADERS = {"X-Api-Key": KEYS["administrator"]}
METHODS = ("get", "post", "put", "patch", "delete")
CONFIG = """
models:
  - {id: triage, positive: b, classes: [a, b]}
alert_rules:
  - {model: triage, metric: accuracyRate, name: "too low", bound: lower, threshold: 0.9,
     severity: warning}
anomaly_jobs: [{job_id: few, model: triage, detectors: [{function: low_count}]}]
notifications:
  smtp: {host: 127.0.0.1, port: 1, from: bellwether@example.org}
"""
DESCRIBED = make_app(None, None, ROOMS).openapi()  # type: ignore[arg-type] # nobody is asked
OPERATIONS = [
    (method, path)
    for path, item in DESCRIBED["paths"].items()
    for method in METHODS
    if method in item
]


def has_body(method, path):
    return "requestBody" in DESCRIBED["paths"][path][method]


def required(method, path):
    """The names of the parameters of the query string that must be there."""
    told = DESCRIBED["paths"][path][method].get("parameters", ())
    return {each["name"] for each in told if each["in"] == "query" and each.get("required")}


# What is asked for is there: perhaps; surely; surely, and nothing further is asked.
THERE = ["perhaps", "there", "alone"]
HOSTILE = [
    *("", " ", "\0", "a" * 10_000, "-1", "9" * 400, "1e400", "nan", "null", "true", "[]", "{}"),
    *(
        "'; DROP TABLE events_log; --",
        "../../etc/passwd",
        "%00",
        "%s%n",
        "é\u202e\U0001f600",
        "a,b",
    ),
]
BODIES = [
    *(
        b"",
        b"null",
        b"[]",
        b"{}",
        b"0",
        b'"a"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 5_000,
    ),
    *(b'{"a": "\\ud800"}', b'{"a": "\\u0000"}', b"[" + b"9" * 5_000 + b"]", b"NaN", b"[1e999]"),
]
# What a value of a wrong kind does to each field of a body.
VALUES = [None, True, -1, 10**30, 1e308, "", "\0", "a" * 10_000, [], {}, [[[]]], {"a": {"b": []}}]


@schemathesis.serializer("application/x-ndjson")
def as_it_is(_, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("fuzz"), CONFIG) as found:
        base = {"model_id": "triage", "job_id": 7}
        events = [
            {**base, "id": n, "timestamp": START_MS + n * 60_000, "score": n / 40}
            | {"prediction": "ab"[n % 2], "label": "ab"[n % 3 > 0], "features": {"x": n, "c": "u"}}
            for n in range(40)
        ]
        metric = {"type": "metric", "job_id": 7, "experiment_id": 3, "name": "LOSS"}
        events += [{**metric, "step": n, "value": n / 2, "timestamp": START_MS} for n in range(12)]
        run = {"type": "run", "job_type": "crawl", "status": "completed", "run_time": 3.5}
        events += [{**run, "id": n, "timestamp": START_MS} for n in range(3)]
        found.post_events(events)
        yield found


@pytest.fixture(scope="module")
def session():
    with requests.Session() as found:
        yield found


@pytest.fixture(scope="module")
def schema(served):
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


@pytest.fixture(scope="module")
def known(served):
    """Values of path parameters that there are, by the name of the parameter."""
    headers = {"headers": HEADERS, "timeout": 30}
    config = httpx.get(f"{served.url}/config", **headers).json()
    rows = served.sql("SELECT alert_id FROM alerts LIMIT 1")
    metrics = served.sql("SELECT metric_id FROM metrics LIMIT 1")
    return {
        "q": "SELECT * FROM alerts LIMIT 3",
        "model_id": "triage",
        "alert_rule_id": config["alert_rules"][0]["id"],
        "rule_id": config["alert_rules"][0]["id"],
        "alert_id": rows[0][0] if rows else "none",
        "metric_id": str(metrics[0][0]) if metrics else "none",
        "job_id": "few",
        "timestamp": str(START_MS),
        "job": "7",
        "id": "7",
        "experiment": "3",
        "name": "LOSS",
        "type": "job-types",
        "catalogue": "job-types",
    }


@pytest.fixture(scope="module")
def asking(schema, session, known):
    return schema, session, known


@pytest.fixture(autouse=True)
def _run_goes_on(served):
    """After each operation the run must still be one that writes."""
    yield
    assert served.session.fault is None
    assert served.session.gate.submit("test", lambda _: "written").result(20) == "written"


def test_there_is_a_description_of_all_rooms():
    assert len(OPERATIONS) > 30


@pytest.mark.parametrize(
    ("mode", "method", "path"),
    [
        (mode, method, path)
        for mode in GenerationMode
        for method, path in OPERATIONS
        # What fits no parameter takes Schemathesis seconds to find; see the hostile ones below.
        if mode is GenerationMode.POSITIVE or EXAMPLES > 1 or has_body(method, path)
    ],
)
def test_law_answers_are_as_described(asking, method, path, mode):
    schema, session, known = asking
    if path.startswith(("/api/v1/", "/api/v2/")):  # a job is no anomaly job there
        known = {**known, "job_id": "7", "experiment_id": "3"}
    operation = schema[path][method.upper()]

    @seed(20250101)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), there=st.sampled_from(THERE))
    def ask(case, there):
        if there != "perhaps":
            for name in case.path_parameters or {}:
                case.path_parameters[name] = known.get(name, case.path_parameters[name])
        if there == "alone":
            case.query = {name: known[name] for name in required(method, path) & known.keys()}
        response = case.call(session=session, headers=HEADERS, timeout=TIMEOUT_S)
        case.validate_response(response, checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        pytest.skip("there is nothing of that kind to ask")


# ---- the same hostile values for all ---------------------------------------------------------


def filled(path, known):
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return path if "{" not in path else path.replace("{", "").replace("}", "")


def check(schema, method, path, answer):
    sent = answer.request
    told = (sent.method, str(sent.url)[:300], sent.content[:300], answer.text[:300])
    documented = DESCRIBED["paths"][path][method]["responses"]
    assert answer.status_code < 500, told
    assert {str(answer.status_code), "default"} & documented.keys(), (answer.status_code, *told)
    schema[path][method.upper()].validate_response(answer)


@pytest.mark.parametrize(("place", "operation"), list(enumerate(OPERATIONS)))
def test_law_hostile_parameters_are_refused_or_fine(served, schema, known, place, operation):
    method, path = operation
    told = DESCRIBED["paths"][path][method]
    some = HOSTILE if EXAMPLES > 1 else HOSTILE[place % 4 :: 4]
    with httpx.Client(base_url=served.url, headers=HEADERS, timeout=TIMEOUT_S) as http:
        for each, value in itertools.product(told.get("parameters", ()), some):
            more = {"json": example_of(told)}
            target = filled(path, known)
            if each["in"] == "query":
                more["params"] = {each["name"]: value.split(",")}
            elif each["in"] == "path":
                quoted = urllib.parse.quote(value, safe="")
                target = filled(path, {**known, each["name"]: quoted})
            elif value.isascii() and value.isprintable() and value.strip() == value:
                more["headers"] = {each["name"]: value}
            answer = http.request(method, target, **more)
            if each["in"] == "path":  # which may have become that of another operation
                assert answer.status_code < 500, (method, target, answer.text[:300])
            else:
                check(schema, method, path, answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [each for each in OPERATIONS if has_body(*each)],
)
def test_law_hostile_bodies_are_refused_or_fine(served, schema, known, method, path):
    operation = DESCRIBED["paths"][path][method]
    target, example = filled(path, known), example_of(operation)
    (media, *_) = operation["requestBody"]["content"]
    headers = {**HEADERS, "Content-Type": media}
    bodies = list(BODIES)
    if isinstance(example, dict):
        for place, name in enumerate(sorted(fields_of(operation) | example.keys())):
            some = VALUES if EXAMPLES > 1 else VALUES[place % 4 :: 4]
            bodies += [json.dumps({**example, name: value}).encode() for value in some]
    with httpx.Client(base_url=served.url, headers=headers, timeout=TIMEOUT_S) as http:
        for body in bodies:
            check(schema, method, path, http.request(method, target, content=body))


def example_of(operation):
    for media, each in operation.get("requestBody", {}).get("content", {}).items():
        if "json" in media and "ndjson" not in media:
            return each.get("example", {})
    return None


def fields_of(operation):
    for media, each in operation["requestBody"]["content"].items():
        if "json" in media and "ndjson" not in media:
            found = each.get("schema", {})
            if "$ref" in found:
                found = DESCRIBED["components"]["schemas"][found["$ref"].rpartition("/")[2]]
            return found.get("properties", {}).keys()
    return set()
