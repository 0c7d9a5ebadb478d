"""How many connections there may be, and how long one may take to say what it wants.

A connection that asks for nothing costs a file and some memory, and whoever opens thousands of them
must not keep others out. So there is a bound, and beyond it the connection that has been idle for
longest makes room: one that has sent no whole head, or whose last answer is complete. Only where
all are being answered is it the newcomer who is turned away.
"""

from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HEAD_S", "bounded"]

HEAD_S = 15.0
"""How long the head of a request may take, from its first byte on, or from the connection on."""

# A process that was held still finds time to be up before it has looked at what came meanwhile.
_LAST_LOOK_S = 0.05


class _Bounded(H11Protocol):
    """uvicorn's protocol, with an end to connections that do not get a request's head sent."""

    connections_max: ClassVar[int]
    by_age: ClassVar[dict["_Bounded", None]]  # the one that was heard of last stands last

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a first request; make room, or hang up."""
        super().connection_made(transport)
        self._waiting = self.loop.call_later(HEAD_S, self._give_up)
        if len(self.by_age) >= self.connections_max:
            oldest = next((each for each in self.by_age if not each.busy), self)
            self.by_age.pop(oldest, None)
            oldest.transport.abort()
            if oldest is self:
                return
        self.by_age[self] = None

    def data_received(self, data: bytes) -> None:
        """Take in what came; a request that has begun is no longer waited for."""
        if self.by_age.pop(self, self) is None:
            self.by_age[self] = None
        super().data_received(data)
        if self.busy:
            self._waiting.cancel()
        elif self._waiting.cancelled():  # the first bytes of a further head
            self._waiting = self.loop.call_later(HEAD_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._waiting.cancel()
        self.by_age.pop(self, None)
        super().connection_lost(exc)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is not None and not cycle.response_complete

    def timeout_keep_alive_handler(self) -> None:
        """Look once more before hanging up."""
        task = self.loop.call_later(_LAST_LOOK_S, super().timeout_keep_alive_handler)
        self.timeout_keep_alive_task = task

    def _give_up(self) -> None:
        self._waiting = self.loop.call_later(_LAST_LOOK_S, self._hang_up)

    def _hang_up(self) -> None:
        if not self.busy and not self.transport.is_closing():
            self.transport.close()


def bounded(connections_max: int) -> type[H11Protocol]:
    """Give the protocol of one server, with at most so many connections at once."""

    class Bounded(_Bounded):
        pass

    Bounded.connections_max, Bounded.by_age = connections_max, {}
    return Bounded
