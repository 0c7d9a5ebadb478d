"""What `bellwether repair` says: what was found, and what a choice restores and what it cannot."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from connectors.inspecting import Change, Found, Place
from connectors.intake import Intake
from connectors.stdin import Stdin

__all__ = ["changes_text", "found_text", "mails_text", "since_text", "sources_text"]

_LISTED_MAX = 20
_GONE = "cannot be read again; who still has it may hand it in again, repeats do no harm"


def found_text(found: Found) -> str:
    """Say what a look at a file has found."""
    if found.newer:
        return f"{found.path}: {found.fault}"
    state = "sound" if found.fault is None else f"damaged: {found.fault}"
    return f"{found.path}: {state}{_as_of(found)}"


def since_text(target: Found | None, what: str) -> str:
    """Say of what came, or happened, that it did so after what is restored."""
    if target is None or target.committed is None:
        return f"all that {what}"
    return f"what {what} after {_moment(target.committed)}"


def sources_text(target: Found | None, known: Found | None) -> Iterator[str]:
    """Say, source by source, where the next run goes on, and what it cannot read again.

    Parameters
    ----------
    target : Found or None
        What is restored; None: nothing is.
    known : Found or None
        The damaged store, as far as it can be read.
    """
    places = {(each.source, each.partition): each for each in target.places} if target else {}
    later = known.places if known else ()
    for place in places.values():
        yield _place_text(place, place.position, target)
    for place in later:
        if (place.source, place.partition) not in places:
            yield _place_text(place, 0, target)
    if not places and not later:
        yield "every source of the configuration is read from its beginning"
        yield f"{since_text(target, 'came by standard input or over REST')} {_GONE}"


def _place_text(place: Place, position: int, target: Found | None) -> str:
    name = f"{place.source} ({place.partition})"
    if (place.source, place.partition) == (Intake.source, Intake.name):
        what = since_text(target, "was handed in over REST")
        return f"{name}: {what} {_GONE}; its idempotency keys are forgotten with it"
    if place.partition == Stdin.name:
        return f"{name}: {since_text(target, 'came')} {_GONE}"
    if not place.partition.startswith("/"):
        where = f"position {position:,}" if position else "its beginning"
        return f"{name}: is read again from {where}, as far as it is still held there"
    where = f"byte {position:,}" if position else "its beginning"
    if not Path(place.partition).exists():
        return f"{name}: the file is gone: what it had from {where} on cannot be read again"
    return f"{name}: is read again from {where}"


def changes_text(target: Found | None, known: Found | None) -> Iterator[str]:
    """Say which edits made during runs are not restored."""
    if known is None:
        what = since_text(target, "was changed over REST or by commands (rules, users, jobs)")
        yield f"{what} is to be changed again"
        return
    kept = {each.seq for each in target.changes} if target else set()
    lost = [each for each in known.changes if each.seq not in kept]
    if not lost:
        return
    yield f"{len(lost):,} of what was changed over REST or by commands are to be changed again:"
    yield from (f"  {_change_text(each)}" for each in lost[:_LISTED_MAX])
    if len(lost) > _LISTED_MAX:
        yield f"  … {len(lost) - _LISTED_MAX:,} more"


def mails_text(target: Found | None, carried: int | None) -> str:
    """Say what becomes of mails that were sent after what is restored.

    `carried` is how many of them are known; None: that cannot be told.
    """
    if carried is not None:
        return (
            f"mails: {carried:,} that were sent since are noted as sent, and are not sent again"
            " when their alerts are raised again"
        )
    return (
        f"{since_text(target, 'was mailed')} is not known: alerts that are raised again are mailed"
        " again, under the same ids; a run with --dry-run-mail prints them instead, until it has"
        " caught up"
    )


def _change_text(change: Change) -> str:
    return f"{change.kind} {change.id} ({_moment(change.made)})"


def _as_of(found: Found) -> str:
    if not found.readable:
        return ""
    if found.committed is None:
        return "; nothing was taken into it yet"
    events = sum(each.events for each in found.places)
    return f"; {events:,} events, the last taken at {_moment(found.committed)}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"
