"""An OpenAPI description as a page of HTML: what each call takes and gives, by contract."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from connectors.rest.own.schematext import schema_text

__all__ = ["page"]

_METHODS = ("get", "post", "put", "patch", "delete")
_OWN = "Bellwether"

Told = Mapping[str, Any]


def page(described: Told) -> str:
    """Give the page."""
    groups = _groups(described)
    title = f"{described['info']['title']} {described['info']['version']}"
    links = "".join(
        f'<li><a href="#{_anchor(name)}">{escape(name)}</a> <span class="count">{len(calls)}</span>'
        for name, calls in groups.items()
    )
    sections = "".join(_section(name, calls, described) for name, calls in groups.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: REST</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<div class="frame">
<nav aria-label="Contracts"><ul>{links}</ul></nav>
<main>
<h1>{escape(title)}</h1>
<p class="lead">{escape(described["info"].get("description", ""))}
The same as <a href="/openapi.json">OpenAPI</a>, for programs.</p>
{_keys(described)}
{sections}
</main>
</div>
</body>
</html>
"""


def _groups(described: Told) -> dict[str, list[tuple[str, str, Told]]]:
    found: dict[str, list[tuple[str, str, Told]]] = {_OWN: []}
    for path, item in described["paths"].items():
        for method in _METHODS:
            if method in item:
                name = (item[method].get("tags") or ["Others"])[0]
                found.setdefault(name, []).append((method, path, item[method]))
    return {name: calls for name, calls in found.items() if calls}


def _keys(described: Told) -> str:
    schemes = described.get("components", {}).get("securitySchemes", {})
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}"
        f"<td>{_text(each.get('description', ''))}"
        for each in schemes.values()
    )
    if not rows:
        return ""
    return (
        '<h2 id="keys">Keys</h2><p>A request shows its API key in one of these ways:</p>'
        f"<table><tr><th>Name<th>Where<th>How{rows}</table>"
    )


def _section(name: str, calls: list[tuple[str, str, Told]], described: Told) -> str:
    inside = "".join(_call(method, path, each, described) for method, path, each in calls)
    return f'<section><h2 id="{_anchor(name)}">{escape(name)}</h2>{inside}</section>'


def _call(method: str, path: str, call: Told, described: Told) -> str:
    summary, _, rest = str(call.get("description") or call.get("summary", "")).partition("\n")
    anchor = escape(str(call.get("operationId", "")), quote=True)
    return (
        '<details class="call"><summary>'
        f'<code class="method {method}">{method.upper()}</code>'
        f'<code class="path">{escape(path)}</code><span class="quiet">{_text(summary)}</span>'
        # Who follows a link to what is inside finds it open.
        f'</summary><div id="{anchor}">{_paragraph(rest)}'
        f"{''.join(_parameters(call, described))}{''.join(_body(call, described))}"
        f"{''.join(_responses(call, described))}</div></details>"
    )


def _parameters(call: Told, described: Told) -> Iterator[str]:
    found = call.get("parameters", ())
    if not found:
        return
    yield "<h3>Parameters</h3><table><tr><th>Name<th>In<th>Kind<th>"
    for each in found:
        must = ' <span class="must">required</span>' if each.get("required") else ""
        kind = schema_text(each.get("schema", {}), described)
        yield (
            f"<tr><td><code>{escape(each['name'])}</code>{must}<td>{escape(each['in'])}"
            f"<td><code>{escape(kind)}</code><td>{_text(each.get('description', ''))}"
        )
    yield "</table>"


def _body(call: Told, described: Told) -> Iterator[str]:
    for media, each in call.get("requestBody", {}).get("content", {}).items():
        yield f"<h3>Body <code>{escape(media)}</code></h3>"
        yield _example(each)
        yield _schema(each.get("schema", {}), described)


def _responses(call: Told, described: Told) -> Iterator[str]:
    yield "<h3>Answers</h3><table>"
    bodies = []
    for status, each in sorted(call.get("responses", {}).items()):
        yield f"<tr><td><code>{escape(status)}</code><td>{_text(each.get('description', ''))}"
        if status.startswith("2"):
            bodies += [(media, body) for media, body in each.get("content", {}).items()]
    yield "</table>"
    for media, body in bodies:
        yield f"<h3>Answer <code>{escape(media)}</code></h3>"
        yield _schema(body.get("schema", {}), described)


def _example(body: Told) -> str:
    if "example" not in body:
        return ""
    told = body["example"]
    text = told if isinstance(told, str) else json.dumps(told, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"


def _schema(schema: Told, described: Told) -> str:
    text = schema_text(schema, described)
    return f"<pre>{escape(text)}</pre>" if text != "any" else '<p class="quiet">Anything.</p>'


def _paragraph(text: str) -> str:
    return "".join(f"<p>{_text(part)}</p>" for part in text.split("\n\n") if part.strip())


def _text(text: str) -> str:
    """Give text as HTML; what stands between backticks is code."""
    parts = escape(text.strip()).split("`")
    return "".join(f"<code>{p}</code>" if place % 2 else p for place, p in enumerate(parts))


def _anchor(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())
