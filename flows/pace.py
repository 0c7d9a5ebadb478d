"""When to commit: by the clock, and before what would take too long.

A block is taken whole, so whether 0.4 s have passed is only seen behind it. A large one behind a
small one would make it a second and more, and all that would be computed again after a kill: so the
commit comes before a block that is expected to end too late.
"""

import math
import time
from collections.abc import Callable

__all__ = ["COMMIT_EVERY_S", "Pace"]

COMMIT_EVERY_S = 0.4
_WITHIN_S = 0.7  # of the first block after a commit, the next commit is expected to be done
_EARLY_COMMITS = 3.0  # times that a commit took lie between two of them
_LEAST_BYTES = 1 << 20  # smaller blocks take about as long


class Pace:
    """The clock of one run's commits.

    Parameters
    ----------
    clock : callable
        Gives seconds that pass; all times here are its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = math.inf
        self._committed_s: float | None = None
        self._commit_took_s = 0.0
        self._byte_took_s = 0.0

    def begin(self) -> None:
        """Note that a transaction has begun."""
        self._began_s = self._clock()

    def end(self) -> None:
        """Note that it has ended."""
        self._began_s = math.inf

    def committed(self, began_s: float) -> None:
        """Note a commit that began at `began_s`."""
        self._committed_s = self._clock()
        self._commit_took_s = self._committed_s - began_s
        self.end()

    def taken(self, size: int, began_s: float) -> None:
        """Note a block of so many bytes that was begun at `began_s`."""
        self._byte_took_s = (self._clock() - began_s) / max(size, _LEAST_BYTES)

    def late(self, size: int) -> bool:
        """Tell whether to commit before a block of so many bytes is taken."""
        takes_s = max(size, _LEAST_BYTES) * self._byte_took_s + self._commit_took_s
        return self._clock() + takes_s > self._began_s + _WITHIN_S

    def due(self, *, waited: bool) -> bool:
        """Tell whether to commit what was taken.

        Parameters
        ----------
        waited : bool
            Whether somebody waits for it: then it comes early, unless commits would take more than
            a small part of the time.
        """
        now_s = self._clock()
        if self._committed_s is None:
            return self._began_s < math.inf  # the first one at once: the run is seen to go on
        if now_s >= self._began_s + COMMIT_EVERY_S:
            return True
        return waited and now_s >= self._committed_s + _EARLY_COMMITS * self._commit_took_s
