"""What is wrong with ids and parameters, in this contract's words."""

from uuid import UUID

from connectors.rest.faults import Fault
from engine.errors import NotFoundError
from engine.instants import iso_us

__all__ = ["sorted_by", "time_us", "uuid_or_404"]


def uuid_or_404(name: str, written: str) -> str:
    """Give an id of the path as UUIDs are written.

    Raises
    ------
    NotFoundError
        It is no UUID, so nothing has it.
    """
    try:
        return str(UUID(written))
    except ValueError as error:
        msg = f"`{name}` must be a UUID that is known, got {written}"
        raise NotFoundError(msg) from error


def time_us(name: str, written: str | None) -> int | None:
    """Give a time of the parameters, µs; None where there is none.

    Raises
    ------
    Fault
        400: it is no ISO 8601 time.
    """
    if written is None:
        return None
    found = iso_us(written)
    if found is None:
        msg = f"`{name}` must be a time in ISO 8601, got {written}"
        raise Fault(400, msg, {name: [msg]})
    return found


def sorted_by(written: str, names: tuple[str, ...]) -> str:
    """Give what to sort by, checked.

    Raises
    ------
    Fault
        400: it is none of the names, with or without ``-`` in front.
    """
    if written.removeprefix("-") not in names:
        msg = f"`sort` must be one of {', '.join(names)}, or one with - in front, got {written}"
        raise Fault(400, msg, {"sort": [msg]})
    return written
