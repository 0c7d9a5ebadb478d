"""Lines read by column: the clean ones among them, and a flag for each that needs another look.

DuckDB's `from_json` is fast and forgiving: it takes the first of two equal keys, skips keys that
the structure lacks, reads the string "1.5" and `true` as doubles, gives null for what it cannot
convert, and allows ``NaN``, ``Infinity``, 1e400 and trailing commas. So its answer is believed only
for a line that is provably clean, and `engine.strict` reads all others.

The proof counts quotation marks. In a line without backslash each string has exactly two of them,
so a valid line has ``2 * (keys + string values)``, counted over all levels. From the answer we know
F, the fields that came back non-null (the containers among them), each of which has one key of its
own, and S, those of type JSON whose text begins with a quotation mark. Always keys >= F and string
values >= S, and each way to be unclean adds and never subtracts: an unknown or repeated key, a null
value, a value that gave null by failing to convert, is a key beyond F; a string given for a double,
or anywhere inside an array or an object, is a string value beyond S. Hence
``marks == 2 * (F + S)`` proves that the line has no key and no string but those we were given. What
is left needs no marks and is looked for on its own: commas before a closing brace, numbers that are
not finite, booleans for doubles (see below), arrays and objects where a scalar is due (their text
begins with a bracket), and a container that is no object (it comes back without a member).

Nulls are common (``"label": null``), so lines with marks to spare are tried again: `engine.nulls`
adds the keys whose value is a literal null, each proven to stand nowhere else in its line.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.answer import Answer
from engine.arrays import Array, Flags, Ints, Text, doubles, flags, validity
from engine.fields import classes, identifiers, number_texts, numbers, timestamps
from engine.lines import Lines, booleans, quotes_before, suspects, views
from engine.nulls import null_keys
from engine.schema import OPTIONAL, Schema, qualified

__all__ = ["Clean", "Marks", "read"]


@dataclass(frozen=True, slots=True)
class Marks:
    """What the bytes of a block tell of each of its lines, found once.

    Attributes
    ----------
    quotes : int64, shape (n,)
        Quotation marks in the line.
    suspect : bool, shape (n,)
        The line has a backslash, or a comma before a closing brace.
    """

    quotes: Ints
    suspect: Flags

    @classmethod
    def of(cls, lines: Lines) -> "Marks":
        """Scan the block's bytes."""
        places = np.append(lines.starts, len(lines.data))
        return cls(np.diff(quotes_before(lines, places)), suspects(lines))


@dataclass(frozen=True, slots=True)
class Clean:
    """The lines that were read.

    Attributes
    ----------
    fine : bool, shape (n,)
        Which of the rows asked for were clean, correct predictions or labels.
    predictions, votes : pyarrow.Table
        As in `engine.batch.Batch`, without `position`, `key` and `positive_score`; the wide columns
        follow behind, those without any value left out.
    """

    fine: Flags
    predictions: pa.Table
    votes: pa.Table


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
    fine = _proven(answer, lines, marks, rows) & _sound(answer, schema)
    event_us, timed = timestamps(answer.top["timestamp"], latest_us)
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
    raw = views(lines, rows[right]).cast(pa.string())
    place = predictions.schema.get_field_index("bucket_id") + 1
    predictions = predictions.add_column(place, "raw", raw)
    return Clean(voted | right, predictions, votes)


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


def _proven(answer: Answer, lines: Lines, marks: Marks, rows: Ints) -> Flags:
    """Return which lines are clean by the proof at the top of this room."""
    expected, objects = answer.marks()
    spare = marks.quotes[rows] - expected
    fine = ~marks.suspect[rows] & objects
    if (fine & (spare > 0)).any():
        nulls = null_keys(lines, rows, answer.present)
        spare -= 2 * nulls.count
        fine &= nulls.certain | (nulls.count == 0)
    fine &= spare == 0
    # A boolean where a double is due needs no marks, and gives exactly 0 or 1.
    bits = np.zeros(answer.length, np.bool_)
    for array in (*answer.doubles.values(), answer.score):
        values = doubles(array)
        bits |= (values == 0.0) | (values == 1.0)
    doubtful = np.flatnonzero(fine & bits)
    if len(doubtful):
        found = booleans(lines, rows[doubtful])
        fine[doubtful] = found == answer.booleans()[doubtful]
    return fine


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
            fine &= _scalars(text)
        else:
            fine &= text.string | text.boolean | ~text.valid
    # Also where the line's type does not know the field: NaN is no JSON, wherever it stands.
    for name in ("prediction", "label", *OPTIONAL):
        fine &= _scalars(answer.top.get(name, answer.missing))
    return fine


def _scalars(text: Text) -> Flags:
    """Return where a value is a string, a boolean, a finite number or null."""
    return (text.string | text.boolean | text.number | ~text.valid) & numbers(text)[1]
