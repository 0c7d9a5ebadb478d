"""Event buckets: groups of events that share a decision, as SQL.

An event's bucket is its `bucket_id`; without one it is the MD5, as hexadecimal text, of its
features: every name with its value, in the order of the names, numbers as doubles, so that
``1`` and ``1.0`` are one; nulls count as absent. An event with neither has no bucket. A bucket of
time is something else (`engine.panes`).

Features of any names are read at 12 µs an event. Where some names are told beforehand, what has no
others is read at 2.5 µs, to the same text.
"""

from collections.abc import Sequence

import orjson

from engine.panes import NUMBERS, text
from engine.query.columns import class_text

__all__ = ["MAX_NAMES", "bucket_sql", "features_text", "plain_names", "with_buckets"]

MAX_NAMES = 256


def features_text(features: str) -> str:
    """Give SQL, VARCHAR, of the canonical form of features, a JSON expression; NULL without any.

    A JSON list of one [name, type, value] per feature, in the order of names by code point; type is
    ``n``, ``s`` or ``b`` (number, string, boolean).
    """
    number = class_text("f.value::DOUBLE")
    feature = (
        f"CASE WHEN json_type(f.value) IN {NUMBERS} THEN [f.key, 'n', {number}]"
        " WHEN json_type(f.value) = 'BOOLEAN' THEN [f.key, 'b', f.value::VARCHAR]"
        " ELSE [f.key, 's', f.value ->> '$'] END"
    )
    entries = (
        f"list_sort(list_filter(map_entries(({features})"
        "::MAP(VARCHAR, JSON)), lambda f: f.value IS NOT NULL))"
    )
    listed = f"list_transform({entries}, lambda f: {feature})"
    return (
        f"CASE WHEN json_type({features}) = 'OBJECT'"
        f" THEN nullif(to_json({listed})::VARCHAR, '[]') END"
    )


def bucket_sql(alias: str) -> str:
    """Give SQL, VARCHAR, of the bucket of a row with `bucket_id` and `raw`; NULL: it has none."""
    canonical = features_text(f"json_extract({alias}.raw, '/features')")
    return f"coalesce({alias}.bucket_id, md5({canonical}))"


def plain_names(names: Sequence[str]) -> tuple[str, ...]:
    """Give those names that `with_buckets` can be told, in their order.

    No two of them differ by case alone, which DuckDB holds to be one, and JSON writes them as they
    are. At most `MAX_NAMES`.

    >>> plain_names(["b", "a", "B", 'x"', ""])
    ('B', 'a')
    """
    found: dict[str, str] = {}
    for name in sorted(names, reverse=True):
        if name and not any(c < " " or c in '"\\' for c in name):
            found[name.lower()] = name
    return tuple(sorted(found.values())[:MAX_NAMES])


def with_buckets(rows: str, names: Sequence[str]) -> str:
    """Select rows with their `bucket` in place of `bucket_id` and `raw`.

    Parameters
    ----------
    rows : str
        A SELECT with `bucket_id` and `raw`.
    names : sequence of str
        The features that most rows have, as `plain_names` gives them; whatever they are, the
        buckets are the same.
    """
    told = "SELECT *, CASE WHEN bucket_id IS NULL THEN json_extract(raw, '/features') END AS x_told"
    # Nulls are absent: a merge patch takes them out.
    said = "SELECT * EXCLUDE (raw), CASE WHEN contains(x_told::VARCHAR, ':null')"
    said += " THEN json_merge_patch('{}', x_told) ELSE x_told END AS x_said"
    slow = f"md5({features_text('x_said')})"
    if not names:
        return (
            f"SELECT * EXCLUDE (bucket_id, x_told, x_said), coalesce(bucket_id, {slow}) AS bucket"
            f" FROM ({said} FROM ({told} FROM ({rows})))"
        )
    structure = text(orjson.dumps(dict.fromkeys(names, "JSON")).decode())
    read = f"SELECT *, from_json(x_said, {structure}) AS x_read"
    values = ", ".join(
        f"struct_extract(x_read, {text(name)})::VARCHAR AS x_{place}"
        for place, name in enumerate(names)
    )
    # As long as what was read of it: then there is nothing else in it.
    length = " + ".join(
        f"coalesce(strlen(x_{place}) + {len(name.encode()) + 4}, 0)"
        for place, name in enumerate(names)
    )
    entries = ", ".join(_entry(name, f"x_{place}") for place, name in enumerate(names))
    columns = ", ".join(f"x_{place}" for place in range(len(names)))
    return (
        f"SELECT * EXCLUDE (bucket_id, x_told, x_said, x_read, {columns}),"
        " CASE WHEN bucket_id IS NOT NULL THEN bucket_id"
        f" WHEN strlen(x_said::VARCHAR) = 1 + {length}"
        f" THEN md5('[' || concat_ws(',', {entries}) || ']') ELSE {slow} END AS bucket"
        f" FROM (SELECT *, {values} FROM ({read} FROM ({said} FROM ({told} FROM ({rows})))))"
    )


def _entry(name: str, value: str) -> str:
    """Give SQL, VARCHAR, of what `features_text` lists for a value as JSON text; NULL: nothing."""
    kinds = {kind: text(f'["{name}","{kind}",') for kind in "nsb"}
    quoted = text('"')
    number = (
        f"CASE WHEN strlen({value}) < 16 AND NOT contains({value}, '.')"
        f" AND NOT contains({value}, 'e') AND {value} <> '-0' THEN {value}"
        f" ELSE {class_text(f'{value}::DOUBLE')} END"
    )
    return (
        f"CASE WHEN {value} IS NULL THEN NULL"
        f" WHEN ascii({value}) = 34 THEN {kinds['s']} || {value} || ']'"
        f" WHEN ascii({value}) < 58 THEN {kinds['n']} || {quoted} || ({number}) || '\"]'"
        f" WHEN {value} IN ('true', 'false') THEN {kinds['b']} || {quoted} || {value} || '\"]'"
        f" ELSE {kinds['s']} || to_json({value})::VARCHAR || ']' END"
    )
