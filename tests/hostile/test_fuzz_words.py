"""What people write, as odd as it gets: configurations, mappings and search texts.

Each is taken, or refused with a message of ours; nothing else may come out. `BELLWETHER_FUZZ` sets
how many examples of each are tried.
"""

import copy
import json
import os
from collections.abc import Callable

import duckdb
import pytest
from hostile_queries import ANYTHING
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keeping import raw_of
from odd_lines import LINES

from engine.batch import Block
from engine.decode import Decoder, canonical
from engine.errors import ConfigurationError, QueryError
from engine.mapping import Mapped, path_steps
from engine.steps.search_text import search_terms
from flows.settings import load, summary

EXAMPLES = int(os.environ.get("BELLWETHER_FUZZ", "15"))
FUZZED = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
BASE = {
    "data": "./data",
    "sources": [{"name": "a", "files": "*.ndjson", "mapping": {"id": "$.a[0]", "model_id": "m"}}],
    "time": {"allowed_lateness": "10s", "idle_timeout": "30s", "max_future": "1h"},
    "models": [
        {"id": "m", "job": "j", "classes": ["A", "B"], "positive": "A", "minutes_per_event": 1.5}
    ],
    "metrics": [
        {"model": "m", "name": "n", "query": {"select": [{"function": "count"}], "filter": []}}
    ],
    "alert_rules": [
        {"model": "m", "metric": "n", "bound": "lower", "threshold": 0.9, "severity": "critical",
         "lookback_period": 5, "subsequent_alert_wait_time": 0, "name": "fell"}
    ],
    "anomaly_jobs": [
        {"job_id": "o", "model": "m", "bucket_span": "15m", "influencers": ["city"],
         "detectors": [{"function": "mean", "field_name": "score", "by_field_name": "city"}]}
    ],
    "notifications": {"smtp": {"host": "h", "port": 25, "from": "a@b.c"}},
    "users": [{"username": "ana", "email": "ana@b.c", "role": "viewer", "api_key_env": "KEY"}],
    "retention": {"events": "90d"},
    "limits": {"models": 10, "classes": 1000, "line_bytes": 1048576},
}  # fmt: skip
ODD_YAML = ["&a [*a]", "!!python/object:os.system {}", "<<: {}", "? [", "- - -", "\t", "%YAML 9",
            "\x85", "'", '"', "{", "}", ": :", "0x", "1e400", ".nan", "2001-13-45", "~", "|",
            "\ufeff", "\x00", "&x", "*x", "!", "---\n---", "..."]  # fmt: skip


def places(value: object, path: tuple = ()) -> list[tuple]:
    """All places of a document but its root."""
    if not isinstance(value, dict | list):
        return []
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [each for key, part in inner for each in ((*path, key), *places(part, (*path, key)))]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A good document with some values changed, as JSON, which is YAML; or with odd letters in."""
    document = copy.deepcopy(BASE)
    for _ in range(draw(st.integers(0, 3))):
        *path, last = draw(st.sampled_from(places(document)))
        inside = document
        for key in path:
            inside = inside[key]
        how = draw(st.integers(0, 3))
        if how == 0 and isinstance(inside, dict):
            inside[draw(st.sampled_from(["x", "", "name", "\x00", "é"]))] = inside.pop(last)
        elif how == 1 and isinstance(inside, list):
            inside.append(copy.deepcopy(inside[last]))
        else:
            inside[last] = draw(ANYTHING)
    text = json.dumps(document)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(ODD_YAML) | st.text(max_size=3)) + text[place:]
    return text


def outcome(act: Callable[[], object], refusal: type[Exception]) -> object:
    """What an act gives, or the words of its refusal; any other exception is a fault of ours."""
    try:
        return act()
    except refusal as error:
        return str(error)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("odd") / "odd.yaml"


@FUZZED
@given(documents())
def test_law_a_configuration_is_taken_or_refused_in_words(path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    told = outcome(lambda: summary(load(str(path))), ConfigurationError)
    assert told
    told.encode()  # no lone surrogates: it can be written


@FUZZED
@given(st.binary(max_size=200))
def test_law_no_bytes_are_too_odd_for_a_configuration(path, data: bytes) -> None:
    path.write_bytes(data)
    outcome(lambda: summary(load(str(path))), ConfigurationError).encode()


SEARCHES = st.lists(
    st.sampled_from([*"\\*?'\",:_%/ \n\t", "name", ":", "id", "é", "\x00", "x" * 300, "\\n"])
    | st.text(max_size=4),
    max_size=12,
).map("".join)


@settings(FUZZED, max_examples=5 * EXAMPLES)
@given(SEARCHES)
def test_law_a_search_is_taken_or_refused_in_words(text: str) -> None:
    terms = outcome(lambda: search_terms(text), QueryError)
    assert isinstance(terms, tuple) or terms
    for term in terms if isinstance(terms, tuple) else ():
        asked = "SELECT 'x' LIKE $pattern ESCAPE '/'"
        DATABASE.execute(asked, {"pattern": term.pattern}).fetchall()


DATABASE = duckdb.connect()
PATHS = st.lists(
    st.sampled_from(
        ["$", ".", "a", '"', "\\", "[0]", "[", "]", '."a.b"', "[99999999999]", "\x00", "é"]
    ),
    max_size=8,
).map("".join)
TARGETS = st.sampled_from(
    [
        "id",
        "model_id",
        "timestamp",
        "type",
        "label",
        "score",
        "features.a",
        "features",
        "x",
        "labels.y",
    ]
)


@settings(FUZZED, max_examples=5 * EXAMPLES)
@given(PATHS | st.text(max_size=10))
def test_law_a_path_is_taken_or_refused_in_words(text: str) -> None:
    steps = outcome(lambda: path_steps(text), ValueError)
    assert "must be a JSON path" in steps if isinstance(steps, str) else text.startswith("$")


@FUZZED
@given(st.dictionaries(TARGETS, PATHS, max_size=4), LINES)
def test_law_a_mapped_line_becomes_one_thing(fields: dict[str, str], lines: list[bytes]) -> None:
    try:
        Mapped(fields)
    except ValueError:
        return
    reader = Decoder(
        DATABASE, max_future_us=None, line_bytes=2000, mappings={"s": fields}, least_lines=0
    )
    batch = reader.decode(Block("s", "p", 0, b"\n".join(lines), 1_700_000_000_000_000))
    tables = (batch.predictions, batch.others, batch.rejects)
    found = [row for table in tables for row in table["ordinal"].to_pylist()]
    found += set(batch.votes["ordinal"].to_pylist())
    given_lines = b"\n".join(lines).split(b"\n")
    assert sorted(found) == [i for i, line in enumerate(given_lines) if line.strip(b" \t\r\n\v\f")]
    for raw in (*raw_of(batch), *batch.others["raw"].to_pylist()):
        assert isinstance(json.loads(canonical(raw)), dict)
