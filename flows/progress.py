"""How far a run has come: one live line on a terminal, nothing in a pipe, a summary at the end.

::

    45,312 events, 28,897 votes · 39,000 lines/s · lag 3 s · 2 rejects · 61 %, 4 s left

All times are handed in, so that a test can move the clock by hand.
"""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a tenth of a start, for nothing where nothing is drawn
    from rich.console import Console
    from rich.live import Live

__all__ = ["Progress", "duration_text"]

_DRAW_EVERY_S = 0.1
_RATE_OVER_S = 10.0
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class _Seen:
    now_s: float
    lines: int
    bytes: int


class Progress:
    """The progress of one run.

    Parameters
    ----------
    console : rich.console.Console or None
        Where to draw: standard error. Nothing is drawn when it is no terminal, or None.
    total_bytes : int or None
        How much there is to read, in the unit of `consumed_bytes`; None where nobody knows.
    live : bool
        Events come as they happen: show how far behind the wall clock they are, however far.
    started_s : float or None
        When the run began; None: at the first update.
    """

    def __init__(
        self,
        console: "Console | None",
        total_bytes: int | None,
        live: bool,  # noqa: FBT001 - part of what the thing is
        started_s: float | None = None,
    ) -> None:
        self._console = console if console is not None and console.is_terminal else None
        self._total, self._live_source = total_bytes, live
        self._started_s = started_s
        self._recent: deque[_Seen] = deque()
        self._drawn_s = float("-inf")
        self._display: Live | None = None

    def update(  # noqa: PLR0917 - as many things make a line of progress
        self,
        lines: int,
        events: int,
        votes: int,
        rejects: int,
        newest_us: int | None,
        consumed_bytes: int,
        now_s: float,
        alerts: int | None = None,
    ) -> None:
        """Take in the totals so far, and draw them, at most ten times a second.

        Parameters
        ----------
        lines, events, votes, rejects : int
            Since the start of the run.
        newest_us : int or None
            The greatest event time seen, in microseconds since the epoch.
        consumed_bytes : int
            Since the start of the inputs, what an earlier run has read included.
        now_s : float
            The wall clock, in seconds since the epoch.
        alerts : int or None
            Since the start of the run; None where there are no rules.
        """
        if self._started_s is None:
            self._started_s = now_s
        self._recent.append(_Seen(now_s, lines, consumed_bytes))
        while len(self._recent) > 2 and self._recent[1].now_s <= now_s - _RATE_OVER_S:
            self._recent.popleft()
        if self._console is None or 0 <= now_s - self._drawn_s < _DRAW_EVERY_S:
            return
        self._drawn_s = now_s
        parts = [f"{events:,} events, {votes:,} votes", f"{self._rate('lines'):,.0f} lines/s"]
        parts += self._lag(newest_us, now_s)
        parts.append(_counted(rejects, "reject"))
        parts += [] if alerts is None else [_counted(alerts, "alert")]
        parts += self._rest(consumed_bytes)
        self._draw(self._console, " · ".join(parts))

    def finish(
        self,
        *,
        lines: int,
        events: int,
        votes: int,
        rejects: int,
        repeats: int,
        watermark: str | None,
        data: str,
        now_s: float,
        alerts: int | None = None,
        unsent: int = 0,
    ) -> str:
        """End the live line and give the summary, which the caller prints on standard error.

        `watermark` is as a person reads it, such as "1998-12-07 22:23:04Z", or None when no event
        has come yet; `unsent` are the notifications that the next run goes on with; the other
        arguments are as for `update`.
        """
        if self._display is not None:
            self._display.stop()
            self._display = None
        elapsed_s = max(now_s - (now_s if self._started_s is None else self._started_s), 0.0)
        rate = f" ({_rounded(lines / elapsed_s):,}/s)" if lines and elapsed_s >= 0.1 else ""
        counted = {"event": events, "vote": votes, "reject": rejects, "repeat": repeats}
        counted |= {} if alerts is None else {"alert": alerts}
        counts = ", ".join(_counted(count, word) for word, count in counted.items())
        time = f"watermark {watermark}" if watermark else "no watermark yet"
        left = f"; {_counted(unsent, 'notification')} still to be sent" if unsent else ""
        took = f"{_counted(lines, 'line')} in {duration_text(elapsed_s)}{rate}"
        return f"{took}: {counts}; {time}; data {data}{left}"

    def _rate(self, what: str) -> float:
        first, last = self._recent[0], self._recent[-1]
        if len(self._recent) == 1 and self._started_s is not None:
            first = _Seen(self._started_s, 0, last.bytes)
        passed_s = last.now_s - first.now_s
        return (getattr(last, what) - getattr(first, what)) / passed_s if passed_s > 0 else 0.0

    def _lag(self, newest_us: int | None, now_s: float) -> list[str]:
        if newest_us is None:
            return []
        lag_s = max(now_s - newest_us / 1e6, 0.0)
        return [f"lag {duration_text(lag_s)}"] if self._live_source or lag_s < _DAY_S else []

    def _rest(self, consumed_bytes: int) -> list[str]:
        if not self._total:
            return []
        share = min(consumed_bytes / self._total, 1.0)
        rate = self._rate("bytes")
        left = max(self._total - consumed_bytes, 0)
        eta = f", {duration_text(left / rate)} left" if rate > 0 and left else ""
        return [f"{int(100 * share)} %{eta}"]

    def _draw(self, console: "Console", line: str) -> None:
        from rich.live import Live  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415

        if self._display is None:
            self._display = Live(console=console, auto_refresh=False, transient=True)
            self._display.start()
        text = Text(line, no_wrap=True, overflow="ellipsis")
        self._display.update(text, refresh=True)


def duration_text(seconds: float) -> str:
    """Say a duration as people do.

    >>> [duration_text(s) for s in (0.04, 1.94, 12, 75, 3_725, 200_000)]
    ['0.0 s', '1.9 s', '12 s', '1 min 15 s', '1 h 2 min', '2 d 7 h']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < _DAY_S:
        return f"{whole // 3_600} h {whole % 3_600 // 60} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // 3_600} h"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _rounded(rate: float) -> int:
    """Keep two digits or three: more would be noise."""
    digits = len(str(int(rate)))
    return int(round(rate, min(2 - digits, 0) if digits > 3 else 0))
