"""Files as rows: every kind of value, and files that unpack to far more than they are sent in."""

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.rest.arthur.tables import BYTES_MAX, ROWS_MAX, rows_of_file
from connectors.rest.faults import Fault

NOON = datetime(2026, 1, 5, 12, 0, 0, 5, tzinfo=UTC)


def _parquet(table, **more):
    file = io.BytesIO()
    pq.write_table(table, file, **more)
    return file.getvalue()


def test_oracle_values_of_parquet():
    table = pa.table(
        {
            "number": [1.5, float("nan"), float("-inf")],
            "whole": pa.array([1, None, -(2**62)]),
            "text": ["a", None, "é"],
            "large": pa.array(["b", "b", None], pa.large_string()),
            "category": pa.array(["u", "v", "u"]).dictionary_encode(),
            "flag": [True, False, None],
            "us": pa.array([NOON, None, NOON], pa.timestamp("us", "UTC")),
            "ns": pa.array([1_767_614_400_000_005_007, None, 0], pa.timestamp("ns")),
            "day": pa.array([date(2026, 1, 5)] * 3),
            "clock": pa.array([time(1, 2, 3)] * 3, pa.time64("ns")),
            "exact": pa.array([Decimal("1.25")] * 3),
        }
    )
    first, second, third = rows_of_file(_parquet(table), "any name")
    assert first == {
        "number": 1.5, "whole": 1, "text": "a", "large": "b", "category": "u", "flag": True,
        "us": "2026-01-05T12:00:00.000005+00:00", "ns": "2026-01-05T12:00:00.000005",
        "day": "2026-01-05", "clock": "01:02:03", "exact": 1.25,
    }  # fmt: skip
    assert second["number"] is second["text"] is second["whole"] is second["us"] is None
    assert (third["number"], third["whole"], third["text"]) == (None, -(2**62), "é")


def test_oracle_values_of_csv():
    data = b"id,x,t,flag\n1,2.5,2026-01-05T12:00:00Z,true\n2,,2026-01-05T13:00:00Z,false\n"
    assert list(rows_of_file(data, "rows.CSV")) == [
        {"id": 1, "x": 2.5, "t": "2026-01-05T12:00:00+00:00", "flag": True},
        {"id": 2, "x": None, "t": "2026-01-05T13:00:00+00:00", "flag": False},
    ]


def test_oracle_json_is_given_as_it_is():
    assert list(rows_of_file(b' [{"a": [1]}, 3]', "x")) == [{"a": [1]}, 3]
    assert list(rows_of_file(b'{"a": 1}\r\n\n{"b": null}', "x")) == [{"a": 1}, {"b": None}]


def test_oracle_a_shared_text_is_counted_in_every_row():
    text = "x" * (1 << 20)
    few = pa.table({"a": [text] * 5})
    assert len(list(rows_of_file(_parquet(few), "x"))) == 5
    many = _parquet(pa.table({"a": pa.array([text]).take(pa.array([0] * 300))}))
    assert len(many) < 1 << 20
    with pytest.raises(Fault, match=f"at most {ROWS_MAX} rows and {BYTES_MAX} bytes"):
        rows_of_file(many, "x")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pa.table({"a": ["x" * ((1 << 20) + 1)]}), "texts of at most"),
        (pa.table({"a": pa.nulls(ROWS_MAX + 1)}), "at most"),
        (pa.table({"a": [[1]]}), "got list"),
        (pa.table({"a": [{"b": 1}]}), "got struct"),
        (pa.table({"a": [b"x"]}), "got binary"),
        (pa.table({"a": pa.array([2**62], pa.timestamp("us"))}), "years 1 to 9999"),
        (pa.table([pa.array([1]), pa.array([2])], ["a", "a"]), "different names"),
    ],
)
def test_error_tables_that_are_refused(table, told):
    with pytest.raises(Fault, match=told):
        rows_of_file(_parquet(table), "x")


def test_error_a_damaged_file_is_refused_before_its_first_row():
    data = bytearray(_parquet(pa.table({"a": list(range(100_000))}), compression="zstd"))
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    with pytest.raises(Fault, match="the file must be a whole one"):
        rows_of_file(bytes(data), "x")


@pytest.mark.parametrize("data", [b"", b"  ", b"PAR1", b"text", b"\x00", b"[1,", b'{"a": }'])
def test_error_what_is_no_table(data):
    with pytest.raises(Fault, match="the file must be"):
        rows_of_file(data, "x")
