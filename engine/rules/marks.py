"""From which line on the stream had reached a minute: where the lines behind a window begin.

The event times seen so far have a maximum, and the line at which it enters a minute is a mark of
that minute. Whatever counts in a window by its own time, a prediction or under the label basis a
label, came at or behind the mark of the minute that the window began in. That is a function of the
sequence of lines alone, however it is cut into blocks. Only the marks that a window can still ask
for are kept in memory; the store has all of them.
"""

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.watermark import NEVER

__all__ = ["Marks"]

Ints = npt.NDArray[np.int64]

_MINUTE_S = 60
_MINUTE_US = 60_000_000


class Marks:
    """The marks on one cursor, in the table `minute_marks`."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._greatest_us = NEVER
        self._minutes_s = np.zeros(0, np.int64)
        self._seqs = np.zeros(0, np.int64)

    def load(self, since_s: int) -> None:
        """Read the marks of the minutes from `since_s` on, and the last one in any case."""
        rows = self._cursor.sql(
            "SELECT minute_s, first_seq FROM minute_marks"
            f" WHERE minute_s >= least({since_s}, (SELECT max(minute_s) FROM minute_marks))"
            " ORDER BY minute_s"
        ).to_arrow_table()
        self._minutes_s = rows["minute_s"].to_numpy().copy()
        self._seqs = rows["first_seq"].to_numpy().copy()
        if len(self._minutes_s):
            self._greatest_us = int(self._minutes_s[-1]) * 1_000_000

    def note(self, times_us: Ints, first_seq: int) -> None:
        """Take in the event times of a block's lines, NEVER where a line has none."""
        if not len(times_us):
            return
        greatest = np.maximum.accumulate(np.append(self._greatest_us, times_us))
        known = greatest != NEVER
        minute = np.where(known, greatest, 0) // _MINUTE_US
        new = known[1:] & (~known[:-1] | (minute[1:] > minute[:-1]))
        self._greatest_us = int(greatest[-1])
        lines = np.flatnonzero(new)
        if not len(lines):
            return
        minutes_s, seqs = minute[lines + 1] * _MINUTE_S, first_seq + lines
        self._minutes_s = np.concatenate((self._minutes_s, minutes_s))
        self._seqs = np.concatenate((self._seqs, seqs))
        table = pa.table({"minute_s": pa.array(minutes_s), "first_seq": pa.array(seqs)})
        self._cursor.register("b_marks", table)
        self._cursor.execute("INSERT INTO minute_marks SELECT * FROM b_marks")
        self._cursor.unregister("b_marks")

    def first_lines(self, times_s: Ints) -> Ints:
        """Give the line from which on the minute of each time had been reached.

        The stream must have reached it; of a time before all events it is the first line with one.
        """
        minutes = times_s // _MINUTE_S * _MINUTE_S
        return self._seqs[np.searchsorted(self._minutes_s, minutes, side="left")]

    def placed(self, alerts: pa.Table) -> pa.Table:
        """Give alerts with their `from_position`; NULL where no event is behind them."""
        starts = alerts["window_start"].cast(pa.int64()).to_numpy() // 1_000_000
        empty = alerts["sample_count"].to_numpy() == 0
        lines = pa.array(self.first_lines(starts), mask=empty)
        place = alerts.schema.get_field_index("from_position")
        return alerts.set_column(place, "from_position", lines)

    def forget(self, before_s: int) -> None:
        """Drop the marks that no window asks for any more from memory."""
        keep = int(np.searchsorted(self._minutes_s, before_s, side="right")) - 1
        if keep > len(self._minutes_s) // 2 and keep > 1024:
            self._minutes_s, self._seqs = self._minutes_s[keep:], self._seqs[keep:]
