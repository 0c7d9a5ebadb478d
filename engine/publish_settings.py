"""How often the results are published as a copy of the store, and what a stop does about it."""

from dataclasses import dataclass

__all__ = ["AT_STOP", "PublishSettings"]

AT_STOP = ("brief", "whole", "never")


@dataclass(frozen=True, slots=True)
class PublishSettings:
    """The published copy of the store.

    Attributes
    ----------
    every_us : int
        Time between two copies, µs of the wall clock.
    at_stop : str
        At the end of the input a copy is made, however long it takes; where the run is told to stop
        before, ``brief`` makes one if it takes a moment only, ``whole`` however long it takes.
        ``never``: none in either case.
    """

    every_us: int = 600_000_000
    at_stop: str = "brief"
