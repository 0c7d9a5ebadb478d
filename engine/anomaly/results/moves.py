"""What renormalisation does to stored scores, in memory: many changes, one after the other.

A catch-up closes many buckets before anything is written, and many of them bring new maxima. Each
change sees the rows up to its cause, with the scores that the changes before it have left, as if it
had been made right then: what comes out does not depend on how many come at once.

Source: contracts.md ELi-03 and ELi-04.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.anomaly.scores.normalizer import History, Normalizer

__all__ = ["Change", "Move", "StoredScores", "follow", "move"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_LEAST_CHANGE = 1e-9  # of a score; less is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What is to be scored anew, and why.

    Attributes
    ----------
    job_id : str
    level : str
        ``bucket``, ``bucket:FIELD``, ``influencer:FIELD`` or ``record``.
    scopes : int64, shape (changed,)
        As `Normalizer.update` gave them.
    from_s : int
        Start of the first bucket within the window of renormalisation.
    changed_s : int
        Start of the bucket that is the cause.
    cause : str
        For people.
    normalizer : Normalizer
    history : History
        The cause included.
    """

    job_id: str
    level: str
    scopes: Codes
    from_s: int
    changed_s: int
    cause: str
    normalizer: Normalizer
    history: History

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        seen = self.history
        return self.scopes.nbytes + seen.maxima.nbytes + seen.levels.nbytes + seen.weights.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class StoredScores:
    """Rows of the store, in order of time; shape (n,) each. `score` and `ceiling` are changed.

    Attributes
    ----------
    start_s : int64
    level : object
        Names of levels.
    scope : int64
    raw, score : float64
    ceiling : int64
    order : int64
        Places by scope.
    """

    start_s: Codes
    level: npt.NDArray[np.object_]
    scope: Codes
    raw: Numbers
    score: Numbers
    ceiling: Codes
    order: Codes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", np.argsort(self.scope, kind="stable"))

    def places(self, change: Change) -> Codes:
        """Give the rows that deserve another score, in order of time."""
        scopes, by_scope = np.unique(change.scopes), self.scope[self.order]
        found: Codes = self.order[
            _ranges(
                np.searchsorted(by_scope, scopes, "left"),
                np.searchsorted(by_scope, scopes, "right"),
            )
        ]
        found.sort()
        reached = (self.start_s[found] >= change.from_s) & (self.start_s[found] <= change.changed_s)
        same = self.level[found] == change.level
        kept: Codes = found[reached & same & (self.raw[found] > 0.0)]
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """The rows that one change has moved; shape (m,) each.

    Attributes
    ----------
    change : int
        Its place among the changes.
    place : int64
        The rows.
    old, new : float64
    old_ceiling, new_ceiling : int64
        Of a bucket: 0.
    """

    change: int
    place: Codes
    old: Numbers
    new: Numbers
    old_ceiling: Codes
    new_ceiling: Codes


def _ranges(starts: Codes, ends: Codes) -> Codes:
    """Give the numbers of all ranges, one range after the other."""
    sizes = ends - starts
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(np.repeat(starts, sizes) + within, np.int64)


def move(rows: StoredScores, changes: Sequence[Change]) -> list[Move]:
    """Make changes, in their order, and tell what each has moved by more than 1e-9.

    Parameters
    ----------
    rows : StoredScores
        All rows that the changes can reach.
    changes : sequence of Change
        In order of time.
    """
    moves = []
    for number, change in enumerate(changes):
        found = rows.places(change)
        score, ceiling = change.normalizer.score(change.history, rows.raw[found], rows.scope[found])
        moved = np.abs(score - rows.score[found]) > _LEAST_CHANGE
        place = found[moved]
        if len(place):
            old, old_ceiling = rows.score[place], rows.ceiling[place]
            rows.score[place], rows.ceiling[place] = score[moved], ceiling[moved]
            moves.append(Move(number, place, old, score[moved], old_ceiling, ceiling[moved]))
    return moves


def follow(rows: StoredScores, moves: Sequence[Move], starts: Codes, scores: Numbers) -> list[Move]:
    """Tell how bucket scores follow their influencers: each is the greatest of them.

    Parameters
    ----------
    rows : StoredScores
        All influencers of the buckets, after the moves.
    moves : sequence of Move
        What `move` said of them.
    starts : int64, shape (buckets,)
        Rising.
    scores : float64, shape (buckets,)
        Before the moves; changed.

    Returns
    -------
    list of Move
        Their places are those of buckets.
    """
    current = rows.score.copy()
    for each in reversed(moves):
        current[each.place] = each.old
    low = np.searchsorted(rows.start_s, starts, "left")
    high = np.searchsorted(rows.start_s, starts, "right")
    found = []
    for each in moves:
        current[each.place] = each.new
        place = np.unique(np.searchsorted(starts, rows.start_s[each.place]))
        sizes = high[place] - low[place]
        score = np.maximum.reduceat(
            current[_ranges(low[place], high[place])], np.cumsum(sizes) - sizes
        )
        old = scores[place]
        moved = np.abs(score - old) > _LEAST_CHANGE
        scores[place[moved]] = score[moved]
        if moved.any():
            none = np.zeros(int(moved.sum()), np.int64)
            found.append(Move(each.change, place[moved], old[moved], score[moved], none, none))
    return found
