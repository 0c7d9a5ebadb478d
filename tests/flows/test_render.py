"""Values as programs read them back: round trips through the standard readers, golden text."""

# ruff: noqa: E501 - what is asked and what is answered stand in one line each

import csv
import io
import json
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.plainrows import names
from engine.errors import QueryError
from flows.render import TERMINAL_ROWS, write

EVERYTHING = """
    SELECT 1 a, 2 a, NULL n, '' e, 'x,"y' || chr(10) q, 'nan'::DOUBLE f, -'inf'::DOUBLE g, 0.1 d, true b,
        TIMESTAMP '1998-12-07 22:23:04.5' t, TIMESTAMP 'infinity' i, DATE '2020-01-02' y,
        170141183460469231731687303715884105727::HUGEINT h, [1.5, 'nan'::DOUBLE] l,
        {'when': TIMESTAMP '2020-01-01'} o, MAP {'k': 1} m, '\\xAA\\x01'::BLOB z, INTERVAL 90 SECOND v,
        TIMESTAMPTZ '2020-01-01 02:00:00+02' w, TIMESTAMP_NS '2020-01-01 00:00:00.123456789' ns"""


def table_of(sql):
    with duckdb.connect() as connection:
        return connection.sql(sql).to_arrow_table()


def written(table, form, width=None):
    out = io.BytesIO()
    write(table, form, out, terminal_width=width)
    return out.getvalue()


def test_golden_json():
    (row,) = json.loads(written(table_of(EVERYTHING), "json"))
    assert row == {
        "a": 1,
        "a_1": 2,
        "n": None,
        "e": "",
        "q": 'x,"y\n',
        "f": "nan",
        "g": "-inf",
        "d": 0.1,
        "b": True,
        "t": "1998-12-07T22:23:04.500000Z",
        "i": "infinity",
        "y": "2020-01-02",
        "h": 170141183460469231731687303715884105727,
        "l": [1.5, "nan"],
        "o": {"when": "2020-01-01T00:00:00.000000Z"},
        "m": {"k": 1},
        "z": "aa01",
        "v": "PT90S",
        "w": "2020-01-01T00:00:00.000000Z",
        "ns": "2020-01-01T00:00:00.123456789Z",
    }


def test_golden_csv():
    table = table_of(
        "SELECT 1 a, NULL b, '' c, 'x,\"y' d, 'two' || chr(10) || 'lines' e, 0.5::DOUBLE f"
    )
    assert written(table, "csv") == b'a,b,c,d,e,f\r\n1,,"","x,""y","two\nlines",0.5\r\n'
    assert written(table_of("SELECT NULL a"), "csv") == b'a\r\n""\r\n'


def test_golden_table_in_a_pipe():
    table = table_of(
        "SELECT * FROM (VALUES (1, 'a', NULL), (20, '日本' || chr(27) || '[2J', 0.5)) v(n, s, x)"
    )
    assert written(table, "table").decode() == (
        " n  s               x\n--  -----------  ----\n 1  a            NULL\n20  日本\\x1b[2J   0.5\n"
    )


def test_a_pipe_gets_all_rows_and_a_terminal_is_told_how_many_it_does_not_show():
    table = table_of("SELECT range i FROM range(1234)")
    assert len(written(table, "table").splitlines()) == 1234 + 2
    shown = written(table, "table", 80).decode()
    assert f"… {1234 - TERMINAL_ROWS:,} rows more: use a pipe" in shown
    assert "(1,234 rows)" in shown
    assert "(1 row)" in written(table_of("SELECT 1"), "table", 80).decode()


def test_a_terminal_too_narrow_cuts_nothing():
    table = table_of("SELECT repeat('x', 300) a, repeat('y', 300) b")
    shown = written(table, "table", 40).decode()
    assert "x" * 300 in shown
    assert "y" * 300 in shown
    assert "…" not in shown


def test_empty_answers():
    table = table_of("SELECT 1 a, 2 b WHERE false")
    assert written(table, "table") == b"a  b\n-  -\n"
    assert written(table, "csv") == b"a,b\r\n"
    assert json.loads(written(table, "json")) == []
    assert written(table, "ndjson") == b""
    assert pq.read_table(io.BytesIO(written(table, "parquet"))).num_rows == 0


def test_oracle_parquet_is_read_back_the_same():
    table = table_of("SELECT i, i / 3 x, 'n' || i s, TIMESTAMP '2020-01-01' t FROM range(9) r(i)")
    assert pq.read_table(io.BytesIO(written(table, "parquet"))).equals(table)


def test_error_parquet_does_not_know_every_type():
    with pytest.raises(QueryError, match="types that Parquet knows"):
        written(table_of("SELECT INTERVAL 1 DAY"), "parquet")


def test_names_are_unique():
    assert names(["a", "a", "a_1", "a"]) == ["a", "a_2", "a_1", "a_3"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@given(st.lists(st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), TEXTS), max_size=9))
def test_law_text_formats_can_be_read_back(rows):
    table = pa.table(
        {
            "n": pa.array([number for number, _ in rows], pa.int64()),
            "s": pa.array([text for _, text in rows], pa.string()),
        }
    )
    expected = [{"n": number, "s": text} for number, text in rows]
    assert json.loads(written(table, "json")) == expected
    lines = written(table, "ndjson").decode().split("\n")[:-1]
    assert [json.loads(line) for line in lines] == expected
    read = list(csv.reader(io.StringIO(written(table, "csv").decode(), newline="")))
    assert read[1:] == [["" if number is None else str(number), text] for number, text in rows]
    assert len(written(table, "table").decode().split("\n")) == len(rows) + 3


@given(st.lists(st.none() | st.floats(width=64), max_size=9))
def test_law_floats_keep_every_bit(values):
    table = pa.table({"x": pa.array(values, pa.float64())})
    for row, value in zip(json.loads(written(table, "json")), values, strict=True):
        assert str(None if row["x"] is None else float(row["x"])) == str(value)


@given(st.lists(st.none() | st.datetimes(), max_size=9))
def test_law_times_are_read_back_by_python(values):
    table = pa.table({"t": pa.array(values, pa.timestamp("us"))})
    for row, value in zip(json.loads(written(table, "json")), values, strict=True):
        found = None if row["t"] is None else datetime.fromisoformat(row["t"]).replace(tzinfo=None)
        assert found == value
