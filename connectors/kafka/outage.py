"""Says once when brokers cannot be reached, and once when they are back."""

import logging
import time

__all__ = ["Outage"]

_logger = logging.getLogger(__name__)


class Outage:
    """What a source last said of its brokers.

    Parameters
    ----------
    who : str
        What needs them, for the messages.
    brokers : str
    """

    def __init__(self, who: str, brokers: str) -> None:
        self._who, self._brokers = who, brokers
        self._since_s: float | None = None
        self._said: set[str] = set()
        self.reason = "no answer"

    @property
    def lasts(self) -> bool:
        """Whether they are known to be away."""
        return self._since_s is not None

    def begins(self, reason: str | None = None) -> None:
        """Note that nobody answers."""
        self.reason = reason or self.reason
        if self._since_s is None:
            self._since_s = time.monotonic()
            _logger.warning(
                "%s: the brokers %s cannot be reached (%s); going on as soon as they can",
                *(self._who, self._brokers, self.reason),
            )

    def ends(self) -> None:
        """Note that somebody answered."""
        if self._since_s is not None:
            away_s = time.monotonic() - self._since_s
            _logger.warning("%s: the brokers are back after %.0f s", self._who, away_s)
            self._since_s = None
            self._said.clear()

    def over(self, what: str) -> None:
        """Say something again when it happens again."""
        self._said.discard(what)

    def once(self, what: str, text: str) -> None:
        """Say something, but not again before the brokers are back from an outage."""
        if what not in self._said:
            self._said.add(what)
            _logger.warning("%s: %s", self._who, text)
