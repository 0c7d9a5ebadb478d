"""How predictions are kept: as JSON, or a plain one as a list of numbers, and how both are read.

`events_kept` is the table. `line` is the event's JSON, NULL of a plain prediction (`engine.typed`),
which has `numbers` in its place; `shape_id` says in `shapes` whose numbers they are. `events_bare`
has those that are stored without properties and have none of the rarer fields: each column costs
40 ns an event, filled or not. The view `events_stored` is both. `events_log` is the same with the
column `raw`: `line`, or the JSON made again from the columns. It costs nothing where nobody asks
for it, and 4 us an event where somebody does. Hence the macros: `_kept_number` looks a number up by
its qualified name without making any text. What the macros know of the shapes is written into them,
so they are made again when a shape is added.

In the JSON made again numbers are the shortest decimal text, whole ones without a fraction.
"""

from collections.abc import Mapping

import duckdb

from engine.asking import first
from engine.panes import quoted, text
from engine.schema import CONTAINERS
from engine.typed import Shape

__all__ = [
    "BARE",
    "BARE_COLUMNS",
    "KEPT_COLUMNS",
    "KEPT_TABLES",
    "LOG_TEXT",
    "RARE_COLUMNS",
    "bare_sql",
    "has_bare_events",
    "json_sql",
    "make_log",
    "make_macros",
    "make_stored",
    "number_sql",
    "raw_sql",
    "stored_shapes",
]

KEPT_COLUMNS = (
    *("seq", "key", "model_id", "event_id", "event_time", "received_time", "watermark"),
    *("prediction", "prediction_number", "label", "label_number", "score", "positive_score"),
    *("job_id", "batch_id", "bucket_id", "partition_id", "position"),
    *("line", "shape_id", "numbers"),
)

RARE_COLUMNS = ("prediction_number", "label_number", "positive_score", "batch_id", "bucket_id")
"""What an event has to be without to be stored in `events_bare`."""

# The first two are there to tell how a line came in; nothing is computed from them.
_LEFT_OUT = ("watermark", "partition_id", "line", "shape_id", "numbers")
BARE_COLUMNS = tuple(name for name in KEPT_COLUMNS if name not in (*RARE_COLUMNS, *_LEFT_OUT))

KEPT_TABLES: dict[str, str] = {
    "events_kept": """
        seq BIGINT NOT NULL,          -- running number of the line over all partitions
        key UBIGINT NOT NULL,         -- hash of (model_id, event_id)
        model_id VARCHAR NOT NULL,
        event_id VARCHAR NOT NULL USING COMPRESSION uncompressed,  -- a fifth faster to write
        event_time TIMESTAMP NOT NULL, received_time TIMESTAMP NOT NULL,
        watermark TIMESTAMP,          -- in force before the line; NULL before the first event
        prediction VARCHAR, prediction_number DOUBLE,
        label VARCHAR, label_number DOUBLE,   -- the label inside the prediction
        score DOUBLE, positive_score DOUBLE,
        job_id VARCHAR, batch_id VARCHAR, bucket_id VARCHAR,
        partition_id INTEGER NOT NULL, position BIGINT NOT NULL,
        line VARCHAR USING COMPRESSION zstd,   -- a third smaller and faster to write
        shape_id INTEGER, numbers DOUBLE[]     -- of a plain prediction, in place of `line`
    """,
    "events_bare": """
        seq BIGINT NOT NULL, key UBIGINT NOT NULL, model_id VARCHAR NOT NULL,
        event_id VARCHAR NOT NULL USING COMPRESSION uncompressed,
        event_time TIMESTAMP NOT NULL, received_time TIMESTAMP NOT NULL,
        prediction VARCHAR, label VARCHAR, score DOUBLE, job_id VARCHAR, position BIGINT NOT NULL
    """,
    "shapes": """
        shape_id INTEGER PRIMARY KEY,
        names VARCHAR[] NOT NULL      -- qualified, in the order of the numbers
    """,
}

BARE = "line IS NULL AND shape_id IS NULL"
"""SQL: whether a row is stored without its properties."""

_IDS = ("job_id", "batch_id", "bucket_id")
_ARGUMENTS = (
    *("model_id", "event_id", "event_time", "prediction", "prediction_number", "label"),
    *("label_number", "score", *_IDS),
)
_INSTANT = (
    "CASE WHEN epoch_us(event_time) % 1000 = 0 THEN epoch_ms(event_time)::VARCHAR"
    """ ELSE strftime(event_time, '"%Y-%m-%dT%H:%M:%S.%fZ"') END"""
)


def number_sql(name: str, row: str = "r") -> str:
    """Give SQL, DOUBLE, of a qualified property of a plain row; NULL where it lacks it."""
    return f"_kept_number({row}.shape_id, {row}.numbers, {text(name)})"


def raw_sql(row: str) -> str:
    """Give SQL, VARCHAR, of the JSON of a row with `KEPT_COLUMNS`."""
    listed = ", ".join(f"{row}.{name}" for name in _ARGUMENTS)
    return (
        f"CASE WHEN {row}.line IS NOT NULL THEN {row}.line ELSE _kept_json({listed},"
        f" _kept_numbers({row}.shape_id, {row}.numbers)) END"
    )


def bare_sql(row: str) -> str:
    """Give SQL, VARCHAR, of the JSON of a row without its properties."""
    return f"_kept_json({', '.join(f'{row}.{name}' for name in _ARGUMENTS)}, NULL)"


def json_sql(names: Shape) -> str:
    """Give SQL, VARCHAR, of the JSON of a row with `numbers` of a shape that is not stored."""
    return f"_kept_json({', '.join(_ARGUMENTS)}, _kept_tidy({_struct(names)}))"


# ---- what is in the store ----------------------------------------------------------------------

_NUMBERS_ALONE = r'\{("(?:[^"\\]|\\.)*":-?[0-9][0-9.eE+-]*,?)*\}'
_MISTAKEN = r'\.0[,}][^"]*":'  # a name that looks like a number's end

_MACROS = {
    # A class text is the JSON of the number, where it was one.
    "_kept_class": "(said, number) AS CASE WHEN number IS NULL THEN to_json(said)::VARCHAR"
    " ELSE said END",
    "_kept_json": f"({', '.join(_ARGUMENTS)}, numbers) AS"
    """ concat('{"model_id":', to_json(model_id), ',"id":', to_json(event_id), ',"timestamp":',"""
    f" {_INSTANT}, ',\"prediction\":' || _kept_class(prediction, prediction_number),"
    " ',\"label\":' || _kept_class(label, label_number), ',\"score\":' || to_json(score),"
    + ", ".join(f"',\"{name}\":' || to_json({name})" for name in _IDS)
    + ", coalesce(numbers, '}'))",
    # What follows the first bracket ends the whole, too. A null is a number that the row lacks. As
    # a lambda, since a macro repeats its argument, and planning takes its time for each name in it.
    "_kept_tidy": "(said) AS list_transform([said], lambda s: list_transform([CASE"
    " WHEN contains(s, ':null') THEN json_merge_patch('{}', s)::VARCHAR ELSE s END], lambda t:"
    " CASE WHEN strlen(t) > 2 THEN ',' || substr(replace(replace(t, '.0,', ','), '.0}', '}'), 2)"
    " ELSE '}' END)[1])[1]",
    # Whether a row is kept as numbers depends on what came before it: what is shown must not. JSON
    # of exact numbers alone is shown as that of a list: names in order, shortest decimals.
    "_kept_plain": "(said) AS list_transform([said], lambda s:"
    f" CASE WHEN regexp_full_match(s::VARCHAR, {text(_NUMBERS_ALONE)})"
    f" AND NOT regexp_matches(s::VARCHAR, {text(_MISTAKEN)})"
    " THEN list_transform([from_json(s, '\"MAP(VARCHAR, DOUBLE)\"')], lambda m:"
    " CASE WHEN coalesce(list_max(list_transform(map_values(m), lambda x: abs(x))), 0) <"
    " 9007199254740992 THEN ('{' || ltrim(_kept_tidy(to_json(map_from_entries(list_sort("
    "map_entries(m))))::VARCHAR), ','))::JSON ELSE s END)[1] ELSE s END)[1]",
}


_WHOLE = f"SELECT {', '.join(KEPT_COLUMNS)} FROM events_kept"
_BARE = f"SELECT {', '.join(BARE_COLUMNS)} FROM events_bare"
_STORED = {False: _WHOLE, True: f"{_WHOLE} UNION ALL BY NAME {_BARE}"}

_COLUMNS = ", ".join(f"e.{name}" for name in KEPT_COLUMNS)
_VIEW = f"SELECT {_COLUMNS}, {raw_sql('e')} AS raw FROM events_stored e"

LOG_TEXT = (*_MACROS.values(), *_STORED.values(), _VIEW)
"""What `make_log` writes, as far as it does not depend on the store."""


def make_log(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the views `events_stored` and `events_log`, and the macros on them and `shapes`."""
    make_stored(cursor)
    for name, macro in _MACROS.items():
        cursor.execute(f"CREATE OR REPLACE MACRO {name}{macro}")
    make_macros(cursor, stored_shapes(cursor))
    cursor.execute(f"CREATE OR REPLACE VIEW events_log AS {_VIEW}")


def make_stored(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the view `events_stored`; of one table alone as long as none was stored bare."""
    cursor.execute(f"CREATE OR REPLACE VIEW events_stored AS {_STORED[_may_be_bare(cursor)]}")


def _may_be_bare(cursor: duckdb.DuckDBPyConnection) -> bool:
    return first(cursor, "SELECT 1 FROM settings WHERE name = 'events_bare'") is not None


def has_bare_events(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether any event is stored without its properties (`keep_events: none`)."""
    if not _may_be_bare(cursor):
        return False
    return first(cursor, f"SELECT 1 FROM events_stored WHERE {BARE} LIMIT 1") is not None


def stored_shapes(cursor: duckdb.DuckDBPyConnection) -> dict[Shape, int]:
    """Give the shapes of the store with their numbers."""
    rows = cursor.execute("SELECT shape_id, names FROM shapes ORDER BY shape_id").fetchall()
    return {tuple(names): number for number, names in rows}


def make_macros(cursor: duckdb.DuckDBPyConnection, shapes: Mapping[Shape, int]) -> None:
    """Write what the macros know of the shapes."""
    numbers = "".join(
        f" WHEN {number} THEN numbers[list_position({_listed(names)}, name)]"
        for names, number in shapes.items()
    )
    texts = "".join(f" WHEN {number} THEN {_struct(names)}" for names, number in shapes.items())
    flat = "".join(f" WHEN {number} THEN {_flat(names)}" for names, number in shapes.items())
    properties = f"_kept_tidy(CASE shape_id{flat} END)" if shapes else "'}'"
    cursor.execute(
        "CREATE OR REPLACE MACRO _kept_properties(shape_id, numbers) AS"
        f" ('{{' || ltrim(coalesce({properties}, '}}'), ','))::JSON"
    )
    found = f"CASE shape_id{numbers} END" if shapes else "NULL::DOUBLE"
    said = f"_kept_tidy(CASE shape_id{texts} END)" if shapes else "NULL::VARCHAR"
    cursor.execute(f"CREATE OR REPLACE MACRO _kept_number(shape_id, numbers, name) AS {found}")
    cursor.execute(f"CREATE OR REPLACE MACRO _kept_numbers(shape_id, numbers) AS {said}")


def _listed(names: Shape) -> str:
    return f"[{', '.join(map(text, names))}]::VARCHAR[]"


def _struct(names: Shape) -> str:
    """Give SQL, VARCHAR, of the JSON object of the list `numbers`."""
    inside: dict[str, list[str]] = {}
    for place, name in enumerate(names, 1):
        container, dot, inner = name.partition(".")
        if not dot or container not in CONTAINERS:
            container, inner = "", name
        inside.setdefault(container, []).append(f"{quoted(inner)} := numbers[{place}]")
    fields = [
        f"{container} := struct_pack({', '.join(members)})"
        for container, members in inside.items()
        if container
    ]
    fields += inside.get("", [])
    return f"to_json(struct_pack({', '.join(fields)}))::VARCHAR" if fields else "'{}'"


def _flat(names: Shape) -> str:
    """Give SQL, VARCHAR, of the JSON object of `numbers` by bare names, the strongest first."""
    places: dict[str, list[str]] = {}
    for place, name in enumerate(names, 1):
        container, dot, inner = name.partition(".")
        bare = inner if dot and container in CONTAINERS else name
        # Features, then predictions, labels and further fields: as they stand in a shape.
        places.setdefault(bare, []).append(f"numbers[{place}]")
    # In the order of the names, as `_kept_plain` has them.
    ordered = sorted(places.items())
    fields = [f"{quoted(bare)} := coalesce({', '.join(at)}, NULL)" for bare, at in ordered]
    return f"to_json(struct_pack({', '.join(fields)}))::VARCHAR" if fields else "'{}'"
