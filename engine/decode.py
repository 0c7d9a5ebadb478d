"""A block of lines as columns: predictions, votes, other events and rejects, in line order.

Clean lines are read by column (`engine.columns`, `engine.other_columns`), all others one by one
(`engine.strict`), with the same result: what a decoder has learned changes its speed, and whether
a numeric property of a line is found in a wide column or in `sparse`, nothing else. Each line that
is not blank becomes exactly one prediction, or one other event, or one reject, or at least one
vote.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

import duckdb
import numpy as np
import pyarrow as pa

from engine.arrays import Array, Flags, Ints
from engine.batch import Batch, Block
from engine.canonical import canonical
from engine.columns import Clean, read
from engine.lines import Lines, split
from engine.mapping import Mapped
from engine.other_columns import read_others
from engine.positive import Positive
from engine.proof import Marks
from engine.refusals import looks_of, malformed, no_objects
from engine.schema import CONTAINERS, OTHERS, OtherSchema, Schema, kind_of, qualified
from engine.strict import Event, Reader
from engine.told import with_told
from engine.type_signs import signs
from engine.typed import NUMBERS, numbered
from engine.values import Fault, cut

__all__ = ["Decoder", "canonical"]

Row = tuple[object, ...]

_KEYS = "ids_to_hash"
_ORDINAL = itemgetter(0)
# Below this many lines one query costs more than reading them one by one.
_LEAST_LINES = 64
_SHORTER = 4  # lines of the other types are: a query for them pays from so many times as many on
_LARGEST_BLOCK = 2**31 - 1  # Arrow counts in 32 bits
_PREFIXES = tuple(f"{container}." for container in CONTAINERS)


def _schema(*columns: tuple[str, str]) -> pa.Schema:
    known: dict[str, pa.DataType] = {"i": pa.int32(), "l": pa.int64()}
    known |= {"s": pa.string(), "d": pa.float64(), "n": NUMBERS}
    return pa.schema([(name, known[kind]) for kind, names in columns for name in names.split()])


_PREDICTIONS = _schema(
    ("i", "ordinal"),
    ("s", "model_id event_id"),
    ("l", "event_us"),
    ("s", "prediction"),
    ("d", "prediction_number"),
    ("s", "label"),
    ("d", "label_number score positive_score"),
    ("s", "job_id batch_id bucket_id raw"),
    ("n", "numbers"),
    ("i", "shape"),
)
_SPARSE = _schema(("i", "ordinal"), ("s", "property"), ("d", "value"))
_VOTES = _schema(
    ("i", "ordinal"),
    ("s", "model_id event_id"),
    ("l", "vote_us"),
    ("s", "voter property label"),
    ("d", "label_number"),
)
_OTHERS = _schema(
    ("i", "ordinal"), ("s", "type model_id job_id event_id"), ("l", "event_us"), ("s", "raw")
)
_REJECTS = _schema(("i", "ordinal"), ("s", "reason field raw"))


@dataclass(slots=True)
class _Rows:
    """What the lines read one by one gave."""

    predictions: list[Row] = field(default_factory=list)
    sparse_ordinals: list[int] = field(default_factory=list)
    sparse_names: list[str] = field(default_factory=list)
    sparse_values: list[float] = field(default_factory=list)
    votes: list[Row] = field(default_factory=list)
    others: list[Row] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)

    def sparse(self) -> pa.Table:
        """Return the numeric properties; kept as columns, for there are many of them."""
        arrays: list[Array] = [
            pa.array(self.sparse_ordinals, pa.int32()),
            pa.array(self.sparse_names, pa.string()),
            pa.array(self.sparse_values, pa.float64()),
        ]
        return pa.Table.from_arrays(arrays, schema=_SPARSE)

    def reject(self, row: int, reason: str, name: str | None, line: bytes) -> None:
        """Add a reject; text that no database can hold is written with backslashes."""
        told = None if name is None else _unicode(name)
        self.rejects.append((row, _unicode(reason), told, cut(line)))


@dataclass(slots=True)
class _Work:
    """A block that is being decoded, and what its lines have given so far."""

    block: Block
    lines: Lines
    rows: _Rows = field(default_factory=_Rows)
    parts: list[Clean] = field(default_factory=list)
    others: list[pa.Table] = field(default_factory=list)
    hidden: int = 0  # bytes of the longest malformed line not told by its first and last byte


# Reads some lines by column; gives which of them are done, and which the other room has to read.
_Reading = Callable[[Ints], tuple[Flags, Flags]]


class Decoder:
    """Decodes blocks; what it has learned from earlier ones makes later ones faster.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Of an in-memory database that nobody else uses at the same time.
    max_future_us : int or None
        How far a timestamp may be ahead of the block's receipt, in microseconds; None for any.
    line_bytes : int
        The longest line taken, in bytes.
    mappings : mapping
        Source to its mapping: field of ours to a JSON path (begins with ``$``) or a constant.
    positive : mapping
        Model to its positive class (or None) and the property that fills `positive_score`.
    least_lines : int
        Fewer lines than this are read one by one.

    Raises
    ------
    ValueError
        If a JSON path of a mapping is malformed.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        *,
        max_future_us: int | None,
        line_bytes: int,
        mappings: Mapping[str, Mapping[str, str]] | None = None,
        positive: Mapping[str, tuple[str | None, str]] | None = None,
        least_lines: int = _LEAST_LINES,
    ) -> None:
        self._cursor = cursor
        self._max_future_us = max_future_us
        self._line_bytes = line_bytes
        self._mapped = {name: Mapped(fields) for name, fields in (mappings or {}).items() if fields}
        self._positive = Positive({model: name for model, (_, name) in (positive or {}).items()})
        self._least_lines = least_lines
        self._reader = Reader(max_future_us=max_future_us)
        self._learned = Schema()
        self._learned_others = OtherSchema()
        # Malformed lines make `from_json` slow. In the block before they had so many bytes at most:
        # cut off lines are short, and only lines that are as short are looked at beforehand.
        self._wary = 0

    def decode(self, block: Block) -> Batch:
        """Return the columns of a block; a pure function of the block and the settings."""
        work = _Work(block, split(block.data, at_start=block.start == 0))
        todo = self._looked_at(work)
        by_column = block.source not in self._mapped and len(block.data) <= _LARGEST_BLOCK
        if by_column and len(todo) >= self._least_lines:
            self._read(work, todo)
        else:
            self._one_by_one(work, todo)
        return self._batch(work)

    def _looked_at(self, work: _Work) -> Ints:
        """Return the lines that are not refused by their looks alone."""
        looks = looks_of(work.lines, self._line_bytes)
        for row, reason in looks.refused:
            work.rows.reject(row, reason, None, work.lines.line(row))
        return looks.readable

    def _well_formed(self, work: _Work, todo: Ints) -> Ints:
        """Have lines that look malformed read one by one, and return the others."""
        bad = no_objects(work.lines, todo)
        if bad.any():
            self._one_by_one(work, todo[bad])
            todo = todo[~bad]
            work.hidden = 0
        if self._wary:
            size = (work.lines.ends - work.lines.starts)[todo]
            bad = size <= self._wary
            bad[bad] = malformed(self._cursor, work.lines, todo[bad])
            self._one_by_one(work, todo[bad])
            todo = todo[~bad]
        return todo

    def _read(self, work: _Work, todo: Ints) -> None:
        """Read all lines, each first by the room that its looks call for, if need be by both."""
        todo = self._well_formed(work, todo)
        marks = Marks.of(work.lines)
        ahead = self._max_future_us
        latest_us = None if ahead is None else work.block.received_us + ahead

        def predictions(rows: Ints) -> tuple[Flags, Flags]:
            part = read(
                self._cursor, work.lines, marks, rows, schema=self._learned, latest_us=latest_us
            )
            work.parts.append(part)
            return part.fine, part.other

        def others(rows: Ints) -> tuple[Flags, Flags]:
            schema, received = self._learned_others, work.block.received_us
            part = read_others(
                self._cursor, work.lines, marks, rows,
                schema=schema, received_us=received, latest_us=latest_us,
            )  # fmt: skip
            work.others.append(part.others)
            return part.fine, part.strange

        signed = signs(work.lines, todo)
        least = _SHORTER * self._least_lines
        strange = self._rounds(work, todo[signed], others, least)
        rest = todo[~signed]
        rest = np.sort(np.concatenate([rest, strange])) if len(strange) else rest
        more = self._rounds(work, rest, predictions, self._least_lines)
        left = self._rounds(work, more, others, least)
        self._one_by_one(work, left)
        self._wary = work.hidden
        self._learned.settle()
        self._learned_others.settle()

    def _rounds(self, work: _Work, todo: Ints, reading: _Reading, least: int) -> Ints:
        """Read by column what is clean; learn from the first of the others and try again.

        Gives the lines that another room should read, ascending.
        """
        sample, learned, elsewhere = _LEAST_LINES, True, [todo[:0]]
        while len(todo):
            if learned and len(todo) >= least:
                fine, other = reading(todo)
                elsewhere.append(todo[other])
                todo = todo[~(fine | other)]
            learned = self._one_by_one(work, todo[:sample])
            todo = todo[sample:]
            sample *= 2
        return np.sort(np.concatenate(elsewhere))

    def _one_by_one(self, work: _Work, todo: Ints) -> bool:
        """Read lines exactly, one by one; return whether their names taught anything."""
        block, rows, learned = work.block, work.rows, False
        mapped = self._mapped.get(block.source)
        for row in todo.tolist():
            line = work.lines.line(row)
            try:
                raw = line.decode()
                value = self._reader.object_of(raw)
                if mapped is not None:
                    value = mapped.apply(value)
                    raw = mapped.text(value)
                event = self._reader.event(value, received_us=block.received_us)
            except Fault as fault:
                if fault.field is None:
                    work.hidden = max(work.hidden, len(line))
                rows.reject(row, fault.reason, fault.field, line)
                continue
            if event.type in OTHERS:
                learned |= self._learned_others.learn(event.type, value)
            else:
                learned |= self._learn(event)
                learned |= self._learned.learn_instant(value.get("timestamp"))
            self._add(row, event, raw, rows)
        return learned

    def _add(self, row: int, event: Event, raw: str, rows: _Rows) -> None:
        who = (event.model_id, event.event_id, event.event_us)
        if event.type == "prediction":
            numbers = {
                qualified(container, name): float(value)
                for container, name, value in event.scalars
                if isinstance(value, int | float)
                and not isinstance(value, bool)
                and (container or not name.startswith(_PREFIXES))
            }
            rows.sparse_ordinals.extend([row] * len(numbers))
            rows.sparse_names.extend(numbers)
            rows.sparse_values.extend(numbers.values())
            positive = self._positive.of(event.model_id or "", numbers)
            ids = (event.job_id, event.batch_id, event.bucket_id)
            said = (*event.prediction, *event.label, event.score, positive)
            rows.predictions.append((row, *who, *said, *ids, raw, None, None))
        elif event.type == "label":
            rows.votes.extend((row, *who, event.voter, *vote) for vote in event.votes)
        else:
            about = (event.type, event.model_id, event.job_id, event.event_id, event.event_us)
            rows.others.append((row, *about, raw))

    def _learn(self, event: Event) -> bool:
        """Take in the names of an event; return whether the next reading by column can do more."""
        if event.type not in ("prediction", "label"):
            return False
        schema, learned = self._learned, False
        ids = {"job_id": event.job_id, "batch_id": event.batch_id, "bucket_id": event.bucket_id}
        for name in (*(name for name in ids if ids[name] is not None), "by" if event.voter else ""):
            learned |= name != "" and schema.learn("", name, "text")
        for container, name, value in event.scalars:
            kind = kind_of(value)
            if schema.names.get((container, name)) in (kind, "mixed"):
                schema.crowd.meet(((container, name),))
                continue
            if not isinstance(value, dict | list) and (container or not name.startswith(_PREFIXES)):
                learned |= schema.learn(container, name, kind)
        return learned

    def _batch(self, work: _Work) -> Batch:
        block, lines, rows = work.block, work.lines, work.rows
        read = [part for part in work.parts if part.predictions.num_rows]
        found, shapes = numbered([(part.predictions, part.shapes) for part in read])
        found = [_with_positive(table, self._positive.column(table)) for table in found]
        exact = _table(rows.predictions, _PREDICTIONS)
        predictions = _joined([*found, exact], _PREDICTIONS, ["ordinal"])
        votes = [*(part.votes for part in work.parts), _table(rows.votes, _VOTES)]
        cast = _joined(votes, _VOTES, ["ordinal", "property"])
        others = _joined([*work.others, _table(rows.others, _OTHERS)], _OTHERS, ["ordinal"])
        keys = self._keys(predictions, cast)
        count = predictions.num_rows
        properties = tuple(predictions.column_names[len(_PREDICTIONS) :])
        return Batch(
            block=block,
            end=block.end,
            lines=len(lines),
            predictions=_placed(predictions, block, lines, keys.slice(0, count)),
            properties=properties,
            shapes=shapes,
            sparse=_joined([rows.sparse()], _SPARSE, ["ordinal"]),
            votes=_placed(cast, block, lines, keys.slice(count)),
            others=_placed(others, block, lines),
            rejects=with_told(
                _placed(_table(sorted(rows.rejects, key=_ORDINAL), _REJECTS), block, lines), block
            ),
        )

    def _keys(self, *tables: pa.Table) -> Array:
        """Return DuckDB's hash of model and id, for all tables in turn."""
        ids = pa.concat_tables([table.select(["model_id", "event_id"]) for table in tables])
        if not ids.num_rows:
            return pa.chunked_array([], pa.uint64())
        self._cursor.register(_KEYS, ids)
        try:
            found = self._cursor.sql(f"SELECT hash(model_id, event_id) AS key FROM {_KEYS}")
            return found.to_arrow_table()["key"]
        finally:
            self._cursor.unregister(_KEYS)


def _table(rows: list[Row], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _with_positive(table: pa.Table, positive: Array) -> pa.Table:
    return table.add_column(table.schema.get_field_index("score") + 1, "positive_score", positive)


def _joined(tables: list[pa.Table], schema: pa.Schema, order: list[str]) -> pa.Table:
    """Return the tables as one, ascending in `order`; columns beyond the schema stand behind it."""
    filled = [table for table in tables if table.num_rows] or [schema.empty_table()]
    joined = filled[0] if len(filled) == 1 else pa.concat_tables(filled, promote_options="default")
    names = [name for name in joined.column_names if name not in schema.names]
    joined = joined.select([*schema.names, *names])
    if len(filled) == 1 and order == ["ordinal"] and _ascending(joined):
        return joined
    return joined.sort_by([(name, "ascending") for name in order])


def _ascending(table: pa.Table) -> bool:
    return bool((np.diff(np.asarray(table["ordinal"])) >= 0).all())


def _placed(table: pa.Table, block: Block, lines: Lines, keys: Array | None = None) -> pa.Table:
    positions = block.positions(lines.offsets[np.asarray(table["ordinal"])])
    table = table.add_column(1, "position", pa.array(positions, pa.int64()))
    return table if keys is None else table.add_column(2, "key", keys)


def _unicode(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
