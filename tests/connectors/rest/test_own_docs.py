"""The docs page and the OpenAPI description: whole, offline, without scripts, and without a key."""

import html.parser

import httpx
import pytest
from serving import serving

from connectors.rest.own.page import page
from connectors.rest.own.schematext import schema_text

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("docs")) as found:
        yield found


@pytest.fixture(scope="module")
def described(served):
    return httpx.get(f"{served.url}/openapi.json").json()


@pytest.fixture(scope="module")
def operations(described):
    return [
        (method, path, item[method])
        for path, item in described["paths"].items()
        for method in METHODS
        if method in item
    ]


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def tags_of(text):
    parser = Tags()
    parser.feed(text)
    return parser.found


def test_golden_the_page_allows_nothing_but_its_own_style(served):
    for path in ("/docs", "/docs/style.css"):
        answer = httpx.get(served.url + path)
        assert answer.status_code == 200
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_golden_the_page_needs_nothing_from_elsewhere(served):
    for tag, attributes in tags_of(httpx.get(f"{served.url}/docs").text):
        assert tag not in {"script", "img", "iframe", "form", "style", "object"}
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src"):
            assert attributes.get(name, "/")[0] in "/#"


def test_golden_the_page_has_every_call(served, operations):
    text = httpx.get(f"{served.url}/docs").text
    anchors = {attributes.get("id") for _, attributes in tags_of(text)}
    for _, path, operation in operations:
        assert operation["operationId"] in anchors
        assert path in text


def test_golden_how_a_key_is_shown_is_described(described):
    schemes = described["components"]["securitySchemes"]
    places = {(each["in"], each["name"]) for each in schemes.values()}
    assert places >= {("header", "X-Api-Key"), ("header", "Authorization")}
    assert described["security"] == [{name: []} for name in schemes]
    assert described["paths"]["/health"]["get"]["security"] == []


def test_law_operations_have_ids_of_their_own_and_say_what_they_answer(operations):
    ids = [operation["operationId"] for _, _, operation in operations]
    assert len(ids) == len(set(ids)) > 30
    for _, _, operation in operations:
        assert operation["tags"]
        assert [status for status in operation["responses"] if status[0] in "23"]


def test_law_no_schema_of_the_framework_is_left(described):
    assert "ValidationError" not in described["components"].get("schemas", {})
    assert "HTTPValidationError" not in str(described)


def test_error_strange_words_do_not_leave_their_place():
    told = {
        "info": {"title": "<b>", "version": "1", "description": "<script>alert(1)</script>"},
        "paths": {
            '/<i>"/{x}': {
                "get": {
                    "tags": ['"><script>'],
                    "operationId": '"onload="x',
                    "description": "a `<u>` b\n\nmore <em>",
                    "parameters": [{"name": "<p>", "in": "query", "schema": {"enum": ["<s>"]}}],
                    "responses": {"200": {"description": "<h1>"}},
                }
            }
        },
    }
    text = page(told)
    assert not {"b", "i", "u", "s", "em", "script"} & {tag for tag, _ in tags_of(text)}
    assert not [name for _, each in tags_of(text) for name in each if name.startswith("on")]
    assert "<code>&lt;u&gt;</code>" in text


def test_error_a_schema_that_holds_itself_comes_to_an_end():
    described = {"a": {"anyOf": [{"$ref": "#/a"}, {"type": "array", "items": {"$ref": "#/a"}}]}}
    assert schema_text({"$ref": "#/a"}, described).endswith("]")
    assert schema_text({"$ref": "#/nothing"}, described) == "any"


def test_golden_schemas_are_told_in_lines():
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": True}}},
        },
    }
    assert schema_text(schema, {}) == (
        "{\n  a: integer (≥ 1, ≤ 1,000,000)\n  b?: [{\n    c?: any\n  }]\n}"
    )
