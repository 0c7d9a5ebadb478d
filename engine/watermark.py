"""The watermark: how far event time has surely come, per partition and over all of them.

Rules. A partition's watermark is the greatest event time it has brought, less the allowed lateness.
The overall watermark is the least over the partitions that hold it back: those that are neither
finished nor idle. It never goes back. The watermark in force before a line is computed from the
lines before it alone, so it does not depend on how the input was cut into blocks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NEVER", "Mark", "Watermarks"]

NEVER = np.iinfo(np.int64).min
"""The watermark and the event time of a partition that has brought nothing: no time at all."""

Times = npt.NDArray[np.int64]


@dataclass(slots=True)
class Mark:
    """One partition: greatest event time seen (µs), whether and how it holds others back."""

    max_event_us: int = NEVER
    idle: bool = False
    finished: bool = False
    live: bool = True
    heard_us: int | None = None


class Watermarks:
    """The marks of all partitions by their number.

    Parameters
    ----------
    lateness_us : int
        Allowed lateness, µs.
    overall_us : int
        The overall watermark that was committed last, or NEVER.
    """

    def __init__(self, lateness_us: int, overall_us: int = NEVER) -> None:
        self._lateness_us = lateness_us
        self.overall_us = overall_us
        self.marks: dict[int, Mark] = {}

    def of(self, partition: int) -> int:
        """Give a partition's own watermark, µs, or NEVER."""
        latest = self.marks[partition].max_event_us
        return NEVER if latest == NEVER else latest - self._lateness_us

    def advance(self, partition: int, times: Times, heard_us: int) -> Times:
        """Take a block's event times and give the overall watermark before each line.

        Parameters
        ----------
        partition : int
        times : int64, shape (lines,)
            Event times in line order, µs; NEVER for lines without one.
        heard_us : int
            Wall clock at receipt, µs.

        Returns
        -------
        int64, shape (lines,)
            µs; NEVER before the first event.
        """
        mark = self.marks.setdefault(partition, Mark())
        mark.idle, mark.heard_us = False, heard_us
        others = self._least(without=partition)
        highest = np.maximum.accumulate(np.concatenate(([mark.max_event_us], times)))
        own = np.where(highest == NEVER, NEVER, highest - self._lateness_us)
        overall = np.maximum(np.minimum(own, others), self.overall_us)
        mark.max_event_us = int(highest[-1])
        self.overall_us = int(overall[-1])
        return np.asarray(overall[:-1], np.int64)

    def rest(self, now_us: int, idle_timeout_us: int, since_us: int = NEVER) -> bool:
        """Let partitions that have been silent too long hold nobody back; True if one changed.

        `since_us`: silence before then does not count.
        """
        silent = []
        for mark in self.marks.values():
            if mark.heard_us is None or not mark.live or mark.idle or mark.finished:
                continue
            mark.heard_us = min(max(mark.heard_us, since_us), now_us)
            if now_us - mark.heard_us >= idle_timeout_us:
                silent.append(mark)
        # One after the other, as they fell silent: how often somebody looks decides nothing.
        for mark in sorted(silent, key=lambda mark: (mark.heard_us or 0, mark.max_event_us)):
            mark.idle = True
            self._settle()
        return bool(silent)

    def finish(self, partition: int) -> None:
        """Note that a partition has ended: nothing of it is to be waited for in this run."""
        self.marks.setdefault(partition, Mark()).finished = True
        self._settle()

    def _settle(self) -> None:
        least = self._least()
        if least == np.iinfo(np.int64).max:
            # Nobody holds it back: it is where the furthest partition has come, whoever ended last.
            least = max((self.of(number) for number in self.marks), default=NEVER)
        self.overall_us = max(self.overall_us, least)

    def _least(self, without: int | None = None) -> int:
        own = [
            self.of(number)
            for number, mark in self.marks.items()
            if number != without and not (mark.idle or mark.finished)
        ]
        return min(own, default=int(np.iinfo(np.int64).max))
