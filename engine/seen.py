"""Whether a key may have been seen before, and in which segment of the stored lines.

A segment is a run of 2^20 consecutive line numbers. Each has four arrays of 64-bit words, 1.5 MiB
each, so six bytes a key when full; a key sets four bits in one word of each array. "No" is always
right; a wrong "yes" comes less than once in ten million questions a segment, and only costs the
search that a right one costs: hits are verified by id in the store. It must be that seldom because
every new key asks every segment, and one wrong "yes" makes its block look for old predictions.
Source: Bloom 1970; Putze, Sanders and Singler 2007 for filters whose bits lie in one word.
"""

from collections.abc import Callable, ItemsView
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.arrays import Array
from engine.asking import number

__all__ = [
    "SEEN_TABLES",
    "SEGMENT_BITS",
    "Hits",
    "Keys",
    "Probes",
    "Seen",
    "among",
    "drop",
    "fill",
    "first_unstored",
    "keys_of",
    "load",
    "loaded",
    "probe",
    "repeated_of",
    "save",
    "store_filter",
]

SEEN_TABLES: dict[str, str] = {
    # The filters of full segments, in pieces; a sole empty piece: its lines were dropped. Derived:
    # they can be made anew. DuckDB reads and writes the rows of a row group together, so that a
    # filter in one row would have to fit into memory together with all others.
    "seen_filters": """
        segment BIGINT NOT NULL, part INTEGER NOT NULL,
        words BLOB NOT NULL USING COMPRESSION uncompressed"""
}

SEGMENT_BITS = 20
_WORDS = 3 << 16
_ARRAYS = 4
_BITS_A_KEY = 4
_PIECE_BYTES = 256  # of a filter in a row: 24,576 rows, a row group of our stores
# The finaliser constants of splitmix64 (Steele, Lea and Flood 2014): no array may repeat
# another one's collisions.
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Hits:
    """What may have been seen: a flag per key asked, and the segments to look in, ascending."""

    flags: npt.NDArray[np.bool_]
    segments: tuple[int, ...]

    @property
    def where(self) -> str:
        """SQL for whether `seq` lies in one of the segments; neighbours are one range.

        >>> Hits(np.empty(0, np.bool_), (0, 1)).where
        '((seq >= 0 AND seq < 2097152))'
        """
        ranges: list[list[int]] = []
        for segment in self.segments:
            if ranges and ranges[-1][1] == segment:
                ranges[-1][1] = segment + 1
            else:
                ranges.append([segment, segment + 1])
        parts = [
            f"(seq >= {first << SEGMENT_BITS} AND seq < {last << SEGMENT_BITS})"
            for first, last in ranges
        ]
        return "(" + " OR ".join(parts) + ")" if parts else "false"


@dataclass(frozen=True, slots=True)
class Probes:
    """Where the filter is asked about some keys.

    Attributes
    ----------
    parts : tuple of (intp, uint64) arrays, shape (n,)
        Per array of a segment, the word of each key and the bits that it sets there.
    """

    parts: "tuple[tuple[npt.NDArray[np.intp], Keys], ...]"

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self.parts[0][0])

    def of(self, rows: "slice | npt.NDArray[np.bool_]") -> "Probes":
        """Give those of some keys."""
        return Probes(tuple((places[rows], masks[rows]) for places, masks in self.parts))

    def behind(self, first: "Probes") -> "Probes":
        """Give those of `first` and then these."""
        joined = []
        for (places, masks), (more, bits) in zip(first.parts, self.parts, strict=True):
            joined.append((np.concatenate((places, more)), np.concatenate((masks, bits))))
        return Probes(tuple(joined))


class Seen:
    """The keys stored so far, by segment.

    >>> seen = Seen()
    >>> seen.add(0, np.array([7, 9], np.uint64))
    >>> seen.ask(np.array([9, 10], np.uint64)).flags.tolist()
    [True, False]

    Parameters
    ----------
    loading : callable, optional
        Gives the keys to begin with, as another filter; called when the first one is needed.
    """

    def __init__(self, loading: "Callable[[], Seen] | None" = None) -> None:
        self._loading = loading
        self._all: dict[int, tuple[Keys, ...]] = {}

    @property
    def _segments(self) -> dict[int, tuple[Keys, ...]]:
        if self._loading is not None:
            self._all = dict(self._loading().items())
            self._loading = None
        return self._all

    def items(self) -> "ItemsView[int, tuple[Keys, ...]]":
        """Give segments and their arrays."""
        return self._segments.items()

    def add(self, segment: int, keys: Keys) -> None:
        """Remember `keys`, uint64 of shape (n,), as seen in `segment`."""
        self.add_probed(segment, probe(keys))

    def add_probed(self, segment: int, probes: Probes) -> None:
        """Remember keys as seen in `segment`."""
        words = self._segments.get(segment)
        if words is None:
            words = tuple(np.zeros(_WORDS, np.uint64) for _ in range(_ARRAYS))
            self._segments[segment] = words
        for array, (places, masks) in zip(words, probes.parts, strict=True):
            _set_bits(array, places, masks)

    def ask(self, keys: Keys) -> Hits:
        """Tell which of `keys`, uint64 of shape (n,), may have been seen, and where."""
        return self.ask_probed(probe(keys))

    def ask_probed(self, probes: Probes) -> Hits:
        """Tell which keys may have been seen, and where."""
        flags = np.zeros(len(probes), np.bool_)
        segments = []
        for segment, words in self.items():
            (places, masks), *others = probes.parts
            some = np.flatnonzero((words[0][places] & masks) == masks)
            for array, (places, masks) in zip(words[1:], others, strict=True):
                wanted = masks[some]
                some = some[(array[places[some]] & wanted) == wanted]
            if len(some):
                flags[some] = True
                segments.append(segment)
        return Hits(flags, tuple(sorted(segments)))

    def words(self, segment: int) -> bytes:
        """Give the arrays of a segment as bytes; none where no key was seen."""
        return b"".join(words.tobytes() for words in self._segments.get(segment, ()))

    def restore(self, segment: int, words: bytes) -> None:
        """Take in what `words` gave; nothing more may be added to that segment."""
        if words:
            arrays = np.frombuffer(words, np.uint64).reshape(_ARRAYS, _WORDS)
            self._segments[segment] = tuple(arrays)

    def drop(self, segment: int) -> None:
        """Forget a segment whose lines were dropped by retention."""
        self._segments.pop(segment, None)


def keys_of(rows: pa.Table) -> Keys:
    """Give the column `key` of some rows."""
    return np.asarray(rows["key"].to_numpy(), np.uint64) if len(rows) else np.empty(0, np.uint64)


def repeated_of(ordered: Keys) -> Keys:
    """Give the keys that stand there more than once; `ordered` ascend.

    >>> repeated_of(np.array([7, 7, 9], np.uint64)).tolist()
    [7]
    """
    again: Keys = ordered[1:][ordered[1:] == ordered[:-1]]
    return again


def among(keys: Keys, few: Keys) -> npt.NDArray[np.bool_]:
    """Tell which keys are among `few` others, as `numpy.isin` does, in a tenth of its time.

    >>> among(np.array([7, 9], np.uint64), np.array([9], np.uint64)).tolist()
    [False, True]
    """
    low = np.zeros(1 << 16, np.bool_)
    low[few & np.uint64(0xFFFF)] = True
    some = np.flatnonzero(low[keys & np.uint64(0xFFFF)])  # keys are hashes: hardly any others
    found = np.zeros(len(keys), np.bool_)
    found[some] = np.isin(keys[some], few)
    return found


def probe(keys: Keys) -> Probes:
    """Give where the filter is asked about `keys`, uint64 of shape (n,)."""
    probes = []
    bits = keys
    for _ in range(_ARRAYS):
        bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
        bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
        # The upper half, scaled to the number of words; the lower half gives the bits.
        places = ((bits >> np.uint64(32)) * np.uint64(_WORDS)) >> np.uint64(32)
        probes.append((places.astype(np.intp), _masks(bits)))
    return Probes(tuple(probes))


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


def fill(
    seen: Seen,
    cursor: duckdb.DuckDBPyConnection,
    tables: tuple[str, ...] = ("events_stored", "votes_log"),
    first_seq: int = 0,
) -> None:
    """Add the keys of the rows of some tables, from a line on: of all predictions and votes."""
    for table in tables:
        reader = cursor.sql(
            f"SELECT seq >> {SEGMENT_BITS} AS segment, key FROM {table} WHERE seq >= {first_seq}"
        ).to_arrow_reader(1 << 20)
        for batch in reader:
            segments = batch["segment"].to_numpy()
            keys = batch["key"].to_numpy()
            for segment in np.unique(segments):
                seen.add(int(segment), keys[segments == segment])


def loaded(
    cursor: duckdb.DuckDBPyConnection, beside: duckdb.DuckDBPyConnection | None = None
) -> tuple[Seen, int]:
    """Give the filter over all stored keys, and the first segment of it that is not stored.

    `beside` is another cursor on the same rows: a thread reads half of it there.
    """
    seen = Seen()
    return seen, load(seen, cursor, beside)


def load(
    seen: Seen,
    cursor: duckdb.DuckDBPyConnection,
    beside: duckdb.DuckDBPyConnection | None = None,
) -> int:
    """Read the stored filters of full segments, the keys of all lines behind them.

    Reading the keys of 50 million lines takes ten seconds, reading their filters a half.

    Returns
    -------
    int
        The first segment without a stored filter.
    """
    rows = cursor.execute("SELECT DISTINCT segment FROM seen_filters ORDER BY 1").fetchall()
    stored = [int(segment) for (segment,) in rows]
    unstored = first_unstored(cursor)
    with ThreadPoolExecutor(1, "seen") as thread:
        half = None
        if beside is not None:
            half = thread.submit(_restore, seen, beside, stored[1::2])
        _restore(seen, cursor, stored if half is None else stored[::2])
        fill(seen, cursor, first_seq=unstored << SEGMENT_BITS)
        if half is not None:
            half.result()
    return unstored


def first_unstored(cursor: duckdb.DuckDBPyConnection) -> int:
    """Give the first segment without a stored filter; those before it have one."""
    return number(cursor, "SELECT coalesce(max(segment) + 1, 0) FROM seen_filters")


def _restore(seen: Seen, cursor: duckdb.DuckDBPyConnection, segments: list[int]) -> None:
    for segment in segments:  # one by one: each has six megabytes
        found = cursor.sql(f"SELECT part, words FROM seen_filters WHERE segment = {segment:d}")
        pieces = found.to_arrow_table()
        if not (np.diff(pieces["part"].to_numpy()) == 1).all():
            pieces = pieces.sort_by("part")
        seen.restore(segment, b"".join(map(_content, pieces["words"].chunks)))


def _content(pieces: Array) -> memoryview:
    _, offsets, content = pieces.buffers()
    if content is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[pieces.offset :][[0, len(pieces)]]
    return memoryview(content)[ends[0] : ends[1]]


def save(seen: Seen, cursor: duckdb.DuckDBPyConnection, unstored: int, next_seq: int) -> int:
    """Store the filters of segments that no further line belongs to.

    Parameters
    ----------
    seen : Seen
    cursor : duckdb.DuckDBPyConnection
        Inside the transaction of the lines.
    unstored : int
        The first segment that is not stored.
    next_seq : int
        The number of the next line.

    Returns
    -------
    int
        The first segment that is not stored now.
    """
    full = next_seq >> SEGMENT_BITS
    for segment in range(unstored, full):
        store_filter(cursor, segment, seen.words(segment))
    return max(unstored, full)


def store_filter(cursor: duckdb.DuckDBPyConnection, segment: int, words: bytes) -> None:
    """Store what `Seen.words` gave of a segment."""
    count = max(1, len(words) // _PIECE_BYTES)
    size = len(words) // count
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(size)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(words)]
    pieces = pa.table(
        {
            "part": pa.array(np.arange(count, dtype=np.int32)),
            "words": pa.Array.from_buffers(pa.binary(), count, buffers),
        }
    )
    cursor.register("b_filter", pieces)
    cursor.execute(f"INSERT INTO seen_filters SELECT {segment:d}, part, words FROM b_filter")
    cursor.unregister("b_filter")


def drop(seen: Seen, cursor: duckdb.DuckDBPyConnection, segment: int) -> None:
    """Forget a segment whose lines were dropped by retention."""
    seen.drop(segment)
    # The row stays, empty, so that what is stored goes on to be told by the greatest segment.
    cursor.execute("DELETE FROM seen_filters WHERE segment = ?", [segment])
    store_filter(cursor, segment, b"")
