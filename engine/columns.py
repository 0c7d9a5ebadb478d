"""Lines read by column: the clean ones among them, and a flag for each that needs another look.

Here are predictions and labels; `engine.other_columns` reads the other types. What DuckDB's
`from_json` answers is believed only for a line that is provably clean (`engine.proof`), and
`engine.strict` reads all others.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.answer import Answer
from engine.arrays import Array, Flags, Ints, doubles, flags, validity
from engine.fields import (
    classes,
    identifiers,
    milliseconds,
    number_texts,
    numbers,
    scalars,
    timestamps,
)
from engine.lines import Lines, views
from engine.proof import Marks, proven
from engine.schema import OPTIONAL, OTHERS, Schema, qualified
from engine.typed import Shape, plain_lines, typed

__all__ = ["Clean", "read"]

_OTHERS = [f'"{kind}"' for kind in OTHERS]


@dataclass(frozen=True, slots=True)
class Clean:
    """The lines that were read.

    Attributes
    ----------
    fine : bool, shape (n,)
        Which of the rows asked for were clean, correct predictions or labels.
    other : bool, shape (n,)
        Which of them are of a type that `engine.other_columns` reads.
    predictions, votes : pyarrow.Table
        As in `engine.batch.Batch`, without `position`, `key` and `positive_score`; the wide columns
        follow behind, those without any value left out.
    shapes : tuple of Shape
        What `shape` in the predictions counts from 0.
    """

    fine: Flags
    other: Flags
    predictions: pa.Table
    votes: pa.Table
    shapes: tuple[Shape, ...] = ()


def read(
    cursor: duckdb.DuckDBPyConnection,
    lines: Lines,
    marks: Marks,
    rows: Ints,
    *,
    schema: Schema,
    latest_us: int | None,
) -> Clean:
    """Read the lines `rows` by column.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Of an in-memory database.
    lines, marks : Lines, Marks
        The block's lines.
    rows : int64, shape (n,)
        Lines to read: valid UTF-8, not blank, ascending.
    schema : Schema
        The names to look for; it decides how many lines are clean, not what they say.
    latest_us : int or None
        The latest timestamp allowed.
    """
    answer = Answer(cursor, views(lines, rows), schema)
    schema.crowd.meet(answer.met())
    clean, bare = proven(answer, lines, marks, rows)
    fine = clean & answer.objects() & _sound(answer, schema)
    event_us, timed = _instants(answer, schema, latest_us)
    model_id, named = identifiers(answer.top["model_id"])
    event_id, known = identifiers(answer.top["id"])
    fine &= timed & named & known & answer.top["model_id"].valid & answer.top["id"].valid
    label, label_number, classed = classes(answer.top["label"])
    fine &= classed
    kind = answer.top["type"].texts
    is_label = flags(pc.is_in(kind, pa.array(['"label"'])))
    is_prediction = flags(pc.is_in(kind, pa.array(['"prediction"', None])))
    head = {
        "ordinal": pa.array(rows, pa.int32()),
        "model_id": model_id,
        "event_id": event_id,
        "event_us": pa.array(event_us),
    }
    said = {"label": label, "label_number": label_number}
    votes, voted = _votes(answer, head, said, fine & is_label)
    predictions, right = _predictions(answer, head, said, schema, fine & is_prediction)
    place = predictions.schema.get_field_index("bucket_id") + 1
    plain = (bare & plain_lines(answer))[right]
    lists = typed(predictions, predictions.column_names[place:], plain)
    predictions = predictions.add_column(place, "raw", _texts(lines, rows[right], ~lists.plain))
    predictions = predictions.add_column(place + 1, "numbers", lists.numbers)
    predictions = predictions.add_column(place + 2, "shape", lists.shape)
    fine = voted | right
    return Clean(fine, _others(kind, ~fine), predictions, votes, lists.shapes)


def _instants(answer: Answer, schema: Schema, latest_us: int | None) -> tuple[Ints, Flags]:
    """Return the time stamps, and where they are allowed ones; the schema learns of their kind."""
    if answer.instants is not None:
        return milliseconds(answer.instants, latest_us)
    column = answer.top["timestamp"]
    if column.number.all():
        schema.instants = "number"
    return timestamps(column, latest_us)


def _texts(lines: Lines, rows: Ints, kept: Flags) -> Array:
    """Return the lines that are kept as they are; null for all others."""
    if not kept.any():
        return pa.nulls(len(rows), pa.string())
    texts = views(lines, rows[kept]).cast(pa.string())
    return texts if kept.all() else texts.take(pa.array(np.cumsum(kept) - 1, mask=~kept))


def _others(kind: Array, left: Flags) -> Flags:
    """Return which of the lines `left` are of another type."""
    found, todo = np.zeros(len(left), np.bool_), np.flatnonzero(left)
    if len(todo):
        found[todo] = flags(pc.is_in(kind.take(pa.array(todo)), pa.array(_OTHERS)))
    return found


def _predictions(
    answer: Answer,
    head: dict[str, Array],
    said: dict[str, Array],
    schema: Schema,
    fine: Flags,
) -> tuple[pa.Table, Flags]:
    text, number, classed = classes(answer.top["prediction"])
    # In a prediction `by` is a further field like any other.
    fine = fine & classed & ~answer.top.get("by", answer.missing).valid
    columns = {**head, "prediction": text, "prediction_number": number, **said}
    columns["score"] = answer.score
    for name in OPTIONAL[:3]:
        columns[name], known = identifiers(answer.top.get(name, answer.missing))
        fine &= known
    for field, array in answer.doubles.items():
        columns[qualified(*field)] = array
    for field, words in answer.texts.items():
        if schema.names[field] == "mixed":
            columns[qualified(*field)] = numbers(words)[0]
    table = pa.table(columns)
    table = table if fine.all() else table.filter(pa.array(fine))
    first = table.schema.get_field_index("bucket_id") + 1
    empty = [n for n in table.column_names[first:] if table[n].null_count == table.num_rows]
    return (table.drop_columns(empty) if empty else table), fine


def _votes(
    answer: Answer, head: dict[str, Array], said: dict[str, Array], fine: Flags
) -> tuple[pa.Table, Flags]:
    voter, known = identifiers(answer.top.get("by", answer.missing))
    fine = fine & known
    columns = {
        "ordinal": head["ordinal"],
        "model_id": head["model_id"],
        "event_id": head["event_id"],
        "vote_us": head["event_us"],
        "voter": pc.fill_null(voter, ""),
    }
    cast: list[tuple[str, Array, Array, Flags]] = []
    cast.append(("", said["label"], said["label_number"], answer.top["label"].valid))
    for (container, name), array in answer.doubles.items() if fine.any() else ():
        if container == "labels":
            texts, finite = number_texts(np.asarray(array.fill_null(0.0)), None)
            cast.append((name, texts, array, validity(array) & finite))
    for (container, name), text in answer.texts.items() if fine.any() else ():
        if container == "labels":
            texts, values, classed = classes(text)
            fine &= classed
            cast.append((name, texts, values, text.valid))
    given = np.zeros(answer.length, np.bool_)
    for *_, valid in cast:
        given |= valid
    fine &= given
    tables = []
    for name, texts, values, valid in cast:
        where = pa.array(fine & valid)
        part = pa.table({**columns, "label": texts, "label_number": values}).filter(where)
        names = pa.array([name] * part.num_rows, pa.string())
        part = part.add_column(5, "property", names)
        tables.append(part)
    return pa.concat_tables(tables), fine


def _sound(answer: Answer, schema: Schema) -> Flags:
    """Return where all numbers are finite, all scalars scalars, and the score is from 0 to 1."""
    fine = np.ones(answer.length, np.bool_)
    for array in answer.doubles.values():
        values = doubles(array)
        finite = np.isfinite(values)
        if not finite.all():
            fine &= finite | ~validity(array)
    score = doubles(answer.score)
    fine &= ((score >= 0.0) & (score <= 1.0)) | ~validity(answer.score)
    for field, text in answer.texts.items():
        if schema.names[field] == "mixed":
            fine &= scalars(text)
        else:
            fine &= text.string | text.boolean | ~text.valid
    # Also where the line's type does not know the field: NaN is no JSON, wherever it stands.
    for name in ("prediction", "label", *OPTIONAL):
        fine &= scalars(answer.top.get(name, answer.missing))
    return fine
