"""How far the reading of one topic partition has come, and what to do when messages are lost."""

import json
from dataclasses import dataclass, field, replace

import numpy as np

from connectors.kafka.eras import Era, era_at, eras_of, state_of
from connectors.kafka.pieces import Piece
from connectors.kafka.shelf import Shelf
from engine.batch import Told
from engine.errors import SourceError

__all__ = ["Lane", "lane_of", "settled", "silent"]


@dataclass(slots=True, eq=False)
class Lane:
    """The reading of one partition; all but the shelf is the reading thread's.

    Attributes
    ----------
    topic : str
    number : int
    position : int
        Of the next message, as the store has it.
    eras : list of Era
        None of them: the partition was never read.
    next : int or None
        Offset of the next message; None: not looked up in this run, or to be looked up again.
    until : int or None
        Offset of the end, where there is one.
    ended : bool
        Everything up to there is on the shelf.
    fresh : bool
        It begins at the first message, whatever `start` says.
    """

    topic: str
    number: int
    position: int
    eras: list[Era]
    next: int | None = None
    until: int | None = None
    ended: bool = False
    fresh: bool = False
    paused: bool = False
    shelf: Shelf = field(default_factory=Shelf)

    @property
    def base(self) -> int:
        """Position of offset 0."""
        return self.eras[-1].base

    @property
    def state(self) -> str | None:
        """What a restart needs beside the position."""
        return state_of(self.eras) if self.eras else None

    @property
    def name(self) -> str:
        """Of the partition, constant across restarts."""
        return f"{self.topic}/{self.number}"


def lane_of(topic: str, number: int, known: tuple[int, str | None], *, fresh: bool) -> Lane:
    """Make the lane of a partition whose committed position and state are `known`."""
    position, state = known
    eras = eras_of(state)
    if eras:  # those after it were seen, but nothing of them was committed
        eras = eras[: eras.index(era_at(eras, position)) + 1]
    return Lane(topic, number, position, eras, fresh=fresh)


def settled(
    lane: Lane, topic_id: str | None, low: int, high: int, *, start: str, on_lost: str
) -> Piece | None:
    """Decide where a lane goes on, given what there is; moves the lane there.

    Parameters
    ----------
    lane : Lane
    topic_id : str or None
        Of the topic that is there.
    low, high : int
        The first offset that is there, and that behind the last.
    start : str
        See `engine.kafka_settings.KafkaSettings`.
    on_lost : str
        The same.

    Returns
    -------
    Piece or None
        What is to be reported, and committed, of this; without lines.

    Raises
    ------
    SourceError
        Messages are lost, and `on_lost` is ``stop``.
    """
    if not lane.eras:
        lane.eras = [Era(topic_id)]
        latest = start == "latest" and not lane.fresh
        return _move(lane, high, silent(high)) if latest else _move(lane, low, None)
    era, offset = lane.eras[-1], lane.position - lane.eras[-1].base
    if era.topic_id is None and topic_id is not None:
        lane.eras = [*lane.eras[:-1], replace(era, topic_id=topic_id)]
    anew = era.topic_id is not None and topic_id is not None and era.topic_id != topic_id
    if not anew and low <= offset <= high:
        return _move(lane, offset, None)
    reason, missing = _reason(lane, offset, (low, high), anew=anew)
    if on_lost == "stop":
        msg = f"kafka: {reason}; with `on_lost: continue` a run goes on without them"
        raise SourceError(msg)
    told = Told(lane.position, reason)
    if anew or offset > high:  # the report takes a position of its own in front of the new era
        lane.eras = [*lane.eras, Era(topic_id or era.topic_id, lane.position + 1)]
    return _move(lane, low, silent(lane.base + low, told, missing))


def _reason(lane: Lane, offset: int, there: tuple[int, int], *, anew: bool) -> tuple[str, int]:
    """Say what is lost, and how many offsets, as far as that is known."""
    where = f"topic {json.dumps(lane.topic)}, partition {lane.number}"
    low, high = there
    if anew:
        return (
            f"{where} was created anew: what was not read of the former one, from offset {offset}"
            " on, is missing"
        ), 0
    if offset > high:
        return (
            f"{where} ends at offset {high}, but was read up to {offset}: it was truncated or"
            " created anew, what was not read before that is missing"
        ), 0
    return (
        f"{where} begins at offset {low}, but was read up to {offset} only: {low - offset} offsets"
        f" from {offset} to {low - 1} are missing"
    ), low - offset


def _move(lane: Lane, offset: int, piece: Piece | None) -> Piece | None:
    lane.next, lane.position = offset, lane.base + offset
    return piece


def silent(end: int, told: Told | None = None, missing: int = 0) -> Piece:
    """Make a piece without lines that takes the position to `end`."""
    none = np.zeros(0, np.int64)
    reported = () if told is None else (told,)
    return Piece(b"", none, none, end, told=reported, missing=missing)
