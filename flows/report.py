"""A short report on one model in the terminal, from nothing but the public relations.

::

    confusion_matrix, metric_values ─ matrix, accuracy over time, worst class ─ terminal

It fits 80 columns, and says the same in a pipe, where there are no colours.
"""

import math
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["QUERIES", "Cells", "chart", "show"]

QUERIES: dict[str, str] = {
    "what is taken for what": """
    SELECT label, prediction, sum(count) AS count FROM confusion_matrix
    WHERE time_basis = 'event' AND label <> prediction
    GROUP BY ALL
    ORDER BY count DESC, label LIMIT 5""",
    "the worst hour of every class": """
    SELECT class_or_group AS class, min(value) AS recall,
        arg_min(window_end, value) AS window_end
    FROM metric_values
    WHERE metric_name = 'truePositiveRateMulticlass' AND time_basis = 'event'
        AND class_or_group IS NOT NULL AND sample_count >= 100
    GROUP BY ALL
    ORDER BY recall""",
    "after its first hour, the mistakes it was surest of": """
    SELECT event_id, prediction, label, score, properties->>'hue-mean' AS hue
    FROM events
    WHERE NOT correct
        AND event_time > (SELECT min(event_time) FROM events) + INTERVAL 1 HOUR
    ORDER BY score DESC LIMIT 5""",
}

_CELLS = """
    SELECT label, prediction, sum(count)::BIGINT FROM confusion_matrix
    WHERE model_id = ? AND time_basis = 'event' GROUP BY ALL"""

# Whole windows only: those at either end hold few events, and say little.
_ACCURACY = """
    SELECT window_end, value FROM metric_values
    WHERE model_id = $model AND metric_name = 'accuracyRateMulticlass' AND time_basis = 'event'
        AND value IS NOT NULL
        AND window_start >= (
            SELECT min(pane_start) FROM confusion_matrix
            WHERE model_id = $model AND time_basis = 'event')
        AND window_end <= (
            SELECT max(pane_start) FROM confusion_matrix
            WHERE model_id = $model AND time_basis = 'event') + INTERVAL 1 MINUTE
    ORDER BY window_end"""

_CHART_WIDTH = 66
_LEVELS = (0.2, 0.1, 0.05, 0.02, 0.01)  # between two lines of the chart
# The bit of each of the 2 by 4 dots of a braille character, by column and row from the top.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


@dataclass(frozen=True, slots=True)
class Cells:
    """A confusion matrix: how often each (label, prediction) occurred."""

    counts: dict[tuple[str, str], int]

    @property
    def classes(self) -> list[str]:
        """All classes, in order of text."""
        return sorted({name for pair in self.counts for name in pair})

    @property
    def accuracy(self) -> float | None:
        """Share of the labelled events that were right; None without any."""
        total = sum(self.counts.values())
        right = sum(count for (label, said), count in self.counts.items() if label == said)
        return right / total if total else None

    def of_label(self, label: str) -> int:
        """How many events have this label."""
        return sum(count for (truth, _), count in self.counts.items() if truth == label)

    def recall(self, label: str) -> float | None:
        """Share of the events of this label that were recognised; None without any."""
        total = self.of_label(label)
        return self.counts.get((label, label), 0) / total if total else None

    def mistakes(self, label: str) -> list[tuple[int, str]]:
        """How often this label was taken for which other class, most frequent first."""
        wrong = [(n, said) for (truth, said), n in self.counts.items() if label == truth != said]
        return sorted(wrong, key=lambda pair: (-pair[0], pair[1]))


def show(console: Console, database: Path, model_id: str) -> None:
    """Print the report on `model_id` from the file `database`, which nobody else may have open."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(_CELLS, [model_id]).fetchall()
        points = connection.execute(_ACCURACY, {"model": model_id}).fetchall()
    cells = Cells({(label, said): count for label, said, count in found})
    if cells.accuracy is None:
        console.print(f"Nothing to report: no event of {model_id} has a label yet.")
        return
    _heading(console, "Confusion matrix", "a row for each true class, a column for each prediction")
    console.print(_matrix(cells))
    console.print(_summary(cells))
    if points:
        _heading(console, "Accuracy over time", "of the hour before each moment, UTC")
        console.print(chart(points, ascii_only=console.options.ascii_only))
    _heading(console, "Ask it yourself", "all of it is in one DuckDB file")
    console.print(f"  {database}", soft_wrap=True)
    for title, sql in QUERIES.items():
        console.print(f"\n  # {title}", style="dim")
        folder = shlex.quote(str(database.parent))
        line = f'  {_command()} sql "{sql}" --data {folder}'
        console.print(line, soft_wrap=True, markup=False)


def _command() -> str:
    """Give the word that runs Bellwether here: in an environment that is not active, its path."""
    program = sys.argv[0]
    if Path(program).name != "bellwether" or shutil.which("bellwether"):
        return "bellwether"
    return shlex.quote(program)


def _heading(console: Console, title: str, explanation: str) -> None:
    console.print()
    console.print(Text.assemble((title, "bold"), (f"  {explanation}", "dim")))


def _matrix(cells: Cells) -> Table:
    """Draw the matrix; what was right stands in brackets. Eight classes fit 80 columns."""
    table = Table(box=box.SIMPLE, padding=0, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in cells.classes:
        table.add_column(f"{name} ", justify="right", max_width=10, no_wrap=True)
    table.add_column("recall", justify="right", style="bold", no_wrap=True)
    for label in cells.classes:
        row = [
            _cell(cells.counts.get((label, said), 0), right=label == said) for said in cells.classes
        ]
        recall = cells.recall(label)
        table.add_row(label, *row, "" if recall is None else f"{recall:.1%}")
    return table


def _cell(count: int, *, right: bool) -> Text:
    if right:
        return Text(f"[{count}]", style="bold green")
    return Text(f"{count} ") if count else Text("· ", style="dim")


def _summary(cells: Cells) -> Text:
    """Say in words how often it was right, and where it is worst."""
    known = [label for label in cells.classes if cells.of_label(label)]
    worst = min(known, key=lambda label: (cells.recall(label), label))
    total, found = cells.of_label(worst), cells.counts.get((worst, worst), 0)
    text = Text.assemble(
        "It was right in ",
        (f"{cells.accuracy:.1%}", "bold"),
        f" of {sum(cells.counts.values()):,} cases. The worst class is ",
        (worst, "bold red"),
        f": {found} of {total} recognised",
    )
    for place, (count, said) in enumerate(cells.mistakes(worst)[:2]):
        text.append(f"{', taken for' if place == 0 else ' and for'} {said} {count} times")
    return text.append(".")


def chart(points: Sequence[tuple[datetime, float]], *, ascii_only: bool = False) -> Text:
    """Draw values between 0 and 1 over time as a line of braille dots, with both axes labelled.

    Parameters
    ----------
    points : sequence of (datetime, float)
        In order of time, at least one; a value holds until the next one.
    ascii_only : bool
        Draw with asterisks instead.
    """
    values = _sampled(points, 2 * _CHART_WIDTH)
    step, lines = _levels(min(values))
    # A level runs through the middle of its line of four dots.
    heights = [min(4 * lines - 1, round((1 - value) / step * 4 + 1.5)) for value in values]
    cells = [[0] * _CHART_WIDTH for _ in range(lines)]
    for x, (y, before) in enumerate(zip(heights, [heights[0], *heights], strict=False)):
        # Up or down to just before the dot on the left, so that a jump is a line as well.
        for each in range(min(y, before + 1), max(y, before - 1) + 1):
            cells[each // 4][x // 2] |= _DOTS[x % 2][each % 4]
    text = Text()
    for line, row in enumerate(cells):
        text.append(f"{1 - line * step:7.0%} {'|' if ascii_only else '┤'}", style="dim")
        text.append("".join(_character(bits, ascii_only=ascii_only) for bits in row), "cyan")
        text.append("\n")
    return text.append_text(_time_axis(points, ascii_only=ascii_only))


def _levels(least: float) -> tuple[float, int]:
    """Choose the step between two lines, and the lines it takes from 1 down to `least`."""
    for step in _LEVELS:
        lines = math.ceil(round((1 - least) / step, 9)) + 1
        if lines >= 5:
            return step, lines
    return _LEVELS[-1], 5


def _sampled(points: Sequence[tuple[datetime, float]], count: int) -> list[float]:
    """Return the values in force at `count` moments, evenly spread over the points."""
    first, span = points[0][0], points[-1][0] - points[0][0]
    values, place = [], 0
    for step in range(count):
        moment = first + span * step / (count - 1)
        while place + 1 < len(points) and points[place + 1][0] <= moment:
            place += 1
        values.append(points[place][1])
    return values


def _character(bits: int, *, ascii_only: bool) -> str:
    if ascii_only:
        return "*" if bits else " "
    return chr(0x2800 + bits) if bits else " "


def _time_axis(points: Sequence[tuple[datetime, float]], *, ascii_only: bool) -> Text:
    """Draw the lower edge, and the time at its ends and in its middle."""
    first, last = points[0][0], points[-1][0]
    names = [f"{moment:%H:%M}" for moment in (first, first + (last - first) / 2, last)]
    edge = "        " + ("+" + "-" * _CHART_WIDTH if ascii_only else "└" + "─" * _CHART_WIDTH)
    room = _CHART_WIDTH - len(names[0]) - len(names[2])
    return Text(f"{edge}\n{'':9}{names[0]}{names[1]:^{room}}{names[2]}", style="dim")
