"""Whether a key may have been seen before, and in which segment of the stored lines.

A segment is a run of 2^20 consecutive line numbers. Each has two arrays of 64-bit words (2^18 words
each, so 4 bytes a key when full); a key sets six bits in one word of each array. "No" is always
right; a wrong "yes" comes about once in 100,000 questions a segment and only costs the search that
a right one costs: hits are verified by id in the store. Source: Bloom 1970; Putze, Sanders and
Singler 2007 for filters whose bits lie in one word.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["SEGMENT_BITS", "Hits", "Seen"]

SEGMENT_BITS = 20
_WORD_BITS = 18
_BITS_A_KEY = 6
# The finaliser constants of splitmix64 (Steele, Lea and Flood 2014): the second array must not
# repeat the first one's collisions.
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Hits:
    """What may have been seen: a flag per key asked, and the segments to look in, ascending."""

    flags: npt.NDArray[np.bool_]
    segments: tuple[int, ...]


class Seen:
    """The keys stored so far, by segment.

    >>> seen = Seen()
    >>> seen.add(0, np.array([7, 9], np.uint64))
    >>> seen.ask(np.array([9, 10], np.uint64)).flags.tolist()
    [True, False]
    """

    def __init__(self) -> None:
        self._segments: dict[int, tuple[Keys, Keys]] = {}

    def add(self, segment: int, keys: Keys) -> None:
        """Remember `keys`, uint64 of shape (n,), as seen in `segment`."""
        words = self._segments.get(segment)
        if words is None:
            words = self._segments[segment] = (_empty(), _empty())
        for array, (places, masks) in zip(words, _probes(keys), strict=True):
            _set_bits(array, places, masks)

    def ask(self, keys: Keys) -> Hits:
        """Tell which of `keys`, uint64 of shape (n,), may have been seen, and where."""
        flags = np.zeros(len(keys), np.bool_)
        segments = []
        (place_1, mask_1), (place_2, mask_2) = _probes(keys)
        for number, (first, second) in self._segments.items():
            some = np.flatnonzero((first[place_1] & mask_1) == mask_1)
            some = some[(second[place_2[some]] & mask_2[some]) == mask_2[some]]
            if len(some):
                flags[some] = True
                segments.append(number)
        return Hits(flags, tuple(sorted(segments)))

    def drop(self, segment: int) -> None:
        """Forget a segment whose lines were dropped by retention."""
        self._segments.pop(segment, None)


def _empty() -> Keys:
    return np.zeros(1 << _WORD_BITS, np.uint64)


def _probes(keys: Keys) -> tuple[tuple[npt.NDArray[np.intp], Keys], ...]:
    mixed = (keys ^ (keys >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    again = (mixed ^ (mixed >> np.uint64(31))) * _MIX_1
    return tuple(
        ((bits >> np.uint64(64 - _WORD_BITS)).astype(np.intp), _masks(bits))
        for bits in (mixed, again)
    )


def _masks(bits: Keys) -> Keys:
    masks = np.zeros(len(bits), np.uint64)
    for nth in range(_BITS_A_KEY):
        masks |= np.uint64(1) << ((bits >> np.uint64(6 * nth)) & np.uint64(63))
    return masks


def _set_bits(array: Keys, places: npt.NDArray[np.intp], masks: Keys) -> None:
    # Of several keys with one place a plain fancy assignment keeps the last: go on with the rest.
    while len(places):
        array[places] |= masks
        lost = np.flatnonzero((array[places] & masks) != masks)
        places, masks = places[lost], masks[lost]
