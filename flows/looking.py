"""Since when silence may be counted: not over a clock that was set, nor while nobody listened."""

import time

__all__ = ["Looking"]

_LISTENING_US = 2_000_000
"""Between two looks at the inputs a busy step may take so long; longer, and it was away."""

_SET_US = 250_000
"""By so much the wall clock may differ from a steady one, for it is adjusted all the time."""


class Looking:
    """Watches over the wall clock from one look at the inputs to the next.

    Whoever was stopped for a minute, or whose clock was set, has not heard a minute of silence.
    """

    def __init__(self, now_us: int) -> None:
        self.since_us = now_us
        self._wall_us, self._steady_us = now_us, time.monotonic_ns() // 1000

    def look(self, now_us: int) -> int:
        """Note a look, and give the wall clock since which silence counts, µs."""
        steady_us = time.monotonic_ns() // 1000
        passed_us, steady_passed_us = now_us - self._wall_us, steady_us - self._steady_us
        self._wall_us, self._steady_us = now_us, steady_us
        away = steady_passed_us > _LISTENING_US
        if away or abs(passed_us - steady_passed_us) > _SET_US:
            self.since_us = now_us
        return self.since_us
