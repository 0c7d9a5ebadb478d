"""Parameters of lists, their links, and the envelope of those whose `index` counts entries.

Two countings, as on the published server: of the metrics `index` counts pages (DIi-06), of
experiments and jobs it counts entries. In both `first`, `next` and `prev` carry what the list
itself takes, so whoever follows `next` sees every entry once. A client that adds `pageLength` to
`index` by itself does so with lists of experiments and jobs; of the metrics it would skip pages,
here as there: the two countings cannot be told apart by what is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query

from connectors.rest.dioptra.shared import PREFIX
from engine.steps.job_list import SORTABLE
from engine.steps.pages import LONGEST_PAGE

__all__ = [
    "Descending",
    "Index",
    "JobSort",
    "Length",
    "PageLink",
    "Search",
    "entries",
    "linked",
    "page_schema",
]

Index = Annotated[int, Query(ge=0, le=2**53, description="Where to begin, from 0.")]
Length = Annotated[int, Query(alias="pageLength", ge=1, le=LONGEST_PAGE)]
Descending = Annotated[bool, Query(description="The greatest first.")]
Search = Annotated[str, Query(description="Terms such as `name:loss*, finished`.")]
JobSort = Annotated[
    str,
    Query(
        alias="sortBy",
        description="By id when absent or empty.",
        json_schema_extra={"enum": ["", *SORTABLE]},
    ),
]

PageLink = Callable[[int], str]
"""Gives the address of the page that begins at an index."""

_LINK = {"type": "string", "format": "uri-reference"}


def linked(path: str, page_length: int, more: Mapping[str, object]) -> PageLink:
    """Give the links of a list; parameters that say nothing are left out."""
    kept = {name: value for name, value in more.items() if value not in (None, "", False)}

    def link(index: int) -> str:
        query = urlencode({"index": index, "pageLength": page_length, **kept})
        return f"{PREFIX}{path}?{query}"

    return link


def entries(
    index: int, length: int, total: int, link: PageLink, data: Sequence[object]
) -> dict[str, object]:
    """Give the envelope around entries, from number `index` on."""
    found: dict[str, object] = {
        "index": index,
        "isComplete": index + length >= total,
        "totalNumResults": total,
        "first": link(0),
    }
    if index + length < total:
        found["next"] = link(index + length)
    if index > 0:
        found["prev"] = link(max(0, index - length))
    return {**found, "data": list(data)}


def page_schema(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Describe an envelope."""
    return {
        "type": "object",
        "required": ["index", "isComplete", "totalNumResults", "first", "data"],
        "properties": {
            "index": {"type": "integer"},
            "isComplete": {"type": "boolean"},
            "totalNumResults": {"type": "integer"},
            "first": _LINK,
            "next": _LINK,
            "prev": _LINK,
            "data": {"type": "array", "items": dict(entry)},
        },
    }
