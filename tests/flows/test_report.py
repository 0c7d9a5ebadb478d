"""The report says what the relations say, in 80 columns, whatever is in them."""

import io
from datetime import datetime, timedelta

import duckdb
import pytest
from rich.console import Console

from flows.report import Cells, chart, show

_START = datetime(2026, 1, 5, 6)  # noqa: DTZ001 - DuckDB's TIMESTAMP has no zone


def _points(values):
    return [(_START + timedelta(minutes=n), value) for n, value in enumerate(values)]


def _lines(values, **options):
    return chart(_points(values), **options).plain.splitlines()


@pytest.fixture
def database(tmp_path):
    """A file with the two relations that are read, as contract columns."""
    path = tmp_path / "bellwether.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            CREATE TABLE confusion_matrix AS
                SELECT * FROM (VALUES
                    ('m', 'event', TIMESTAMP '2026-01-05 06:00:00', 'cat', 'cat', 6),
                    ('m', 'event', TIMESTAMP '2026-01-05 08:00:00', 'cat', 'dog', 3),
                    ('m', 'event', TIMESTAMP '2026-01-05 08:00:00', 'cat', 'emu', 1),
                    ('m', 'event', TIMESTAMP '2026-01-05 08:00:00', 'dog', 'dog', 10),
                    ('m', 'label', TIMESTAMP '2026-01-05 09:00:00', 'dog', 'cat', 500),
                    ('other', 'event', TIMESTAMP '2026-01-05 09:00:00', 'dog', 'cat', 500))
                AS c(model_id, time_basis, pane_start, label, prediction, count);
            CREATE TABLE metric_values AS
                SELECT 'm' AS model_id, 'accuracyRateMulticlass' AS metric_name,
                    'event' AS time_basis, w - INTERVAL 1 HOUR AS window_start,
                    w AS window_end, 0.5 + n / 400 AS value
                FROM (SELECT n, TIMESTAMP '2026-01-05 06:01:00' + INTERVAL 1 MINUTE * n AS w
                    FROM range(180) AS r(n))"""
        )
    return path


def _shown(database, model="m", width=80, encoding="utf-8"):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    show(Console(file=file, width=width, highlight=False), database, model)
    file.flush()
    return raw.getvalue().decode(encoding)


def test_golden_matrix_and_summary(database):
    text = _shown(database)
    rows = [line.split() for line in text.splitlines()]
    assert ["cat", "[6]", "3", "1", "60.0%"] in rows
    assert ["dog", "·", "[10]", "·", "100.0%"] in rows
    assert ["emu", "·", "·", "[0]"] in rows
    flat = " ".join(text.split())
    assert "It was right in 80.0% of 20 cases." in flat
    worst = "The worst class is cat: 6 of 10 recognised, taken for dog 3 times and for emu 1 times."
    assert worst in flat
    assert str(database) in text


def test_contract_80_columns_and_no_colours(database):
    text = _shown(database)
    assert "\x1b" not in text
    kept = [line for line in text.splitlines() if str(database.parent) not in line]
    assert max(map(len, kept)) <= 80


def test_golden_only_whole_windows_are_drawn(database):
    """Windows end from 06:01 to 09:00 here, events reach from 06:00 to 08:01."""
    axis = next(line for line in _shown(database).splitlines() if "07:00" in line)
    assert axis.split() == ["07:00", "07:30", "08:01"]


def test_contract_an_ascii_terminal_gets_ascii_lines():
    assert all(line.isascii() for line in _lines([0.2, 0.9, 0.4], ascii_only=True))


def test_error_a_model_without_labels_is_said_to_have_none(database):
    assert _shown(database, model="nobody").strip() == (
        "Nothing to report: no event of nobody has a label yet."
    )


@pytest.mark.parametrize("value", [0.0, 0.3, 0.5, 0.9, 0.985, 1.0])
def test_law_a_constant_is_one_level_line(value):
    drawn = [line for line in _lines([value] * 5) if "┤" in line]
    marked = [line for line in drawn if line.split("┤")[1].strip()]
    assert len(marked) == 1
    assert len(set(marked[0].split("┤")[1])) == 1
    level = float(marked[0].split("%")[0]) / 100
    assert level == pytest.approx(value, abs=0.101)  # half a step


def test_law_a_jump_is_drawn_through_every_line_between():
    drawn = [line.split("┤")[1] for line in _lines([1.0, 0.0, 0.0]) if "┤" in line]
    assert len(drawn) == 6
    assert all(line.strip() for line in drawn)
    assert drawn[0].rstrip() != drawn[0]
    assert drawn[-1].lstrip() != drawn[-1]


def test_oracle_the_level_of_each_column_is_that_of_its_value():
    values = [n / 131 for n in range(132)]
    drawn = [line.split("┤")[1] for line in _lines(values) if "┤" in line]
    for column in range(66):
        line = next(n for n, row in enumerate(drawn) if row[column] != " ")
        assert 1 - line * 0.2 == pytest.approx(values[2 * column], abs=0.12)


def test_law_values_hold_until_the_next_one():
    sparse = [(_START, 0.5), (_START + timedelta(minutes=30), 0.9)]
    full = [(_START + timedelta(minutes=n), 0.5 if n < 30 else 0.9) for n in range(31)]
    assert chart(sparse).plain == chart(full).plain


def test_law_one_point_is_a_chart():
    assert len(_lines([0.5])) == 8


def test_law_the_parts_of_a_matrix_add_up():
    cells = Cells({("a", "a"): 2, ("a", "b"): 1, ("b", "a"): 3})
    assert cells.classes == ["a", "b"]
    assert cells.accuracy == pytest.approx(2 / 6)
    assert (cells.recall("a"), cells.recall("b"), cells.recall("c")) == (2 / 3, 0, None)
    assert cells.mistakes("a") == [(1, "b")]
    assert Cells({}).accuracy is None
