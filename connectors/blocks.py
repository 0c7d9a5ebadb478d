"""The blocks of a DuckDB file, one by one: which of those in use do not fit their checksum.

A query reads only what it needs; blocks of indexes and of the file's own bookkeeping are read when
a run comes to need them. So whether a whole file is sound is seen from its blocks. Blocks that are
free may hold anything and are passed over.

The form is that of DuckDB's storage: a main header and two others of 4 KiB, of which the one with
the greater iteration is in force; then blocks, 256 KiB unless the header says otherwise, each
beginning with the checksum of the rest; the list of free ones in pieces of a 64th of a block, each
beginning with where the next one is.

Source: DuckDB, `src/storage/single_file_block_manager.cpp`, `src/common/checksum.cpp`,
`src/storage/metadata`. Cost: about a second per GB beyond reading it.
"""

import mmap
import struct
from pathlib import Path

import numpy as np

__all__ = ["first_damaged", "fits"]

_HEADER_BYTES = 4096
_BLOCKS_AT = 3 * _HEADER_BYTES
_HEADER = struct.Struct("<5Q")  # iteration, root, free list, blocks, bytes of a block
_PIECES = 64
_NONE = 2**64 - 1
_FACTOR, _START = np.uint64(0xBF58476D1CE4E5B9), np.uint64(5381)


def fits(block: memoryview | bytes) -> bool:
    """Tell whether a block, or a header, fits the checksum that it begins with."""
    words = np.frombuffer(block, np.uint64)
    return bool(np.bitwise_xor.reduce(words[1:] * _FACTOR) ^ _START == words[0])


def first_damaged(path: Path) -> int | None:
    """Give where in the file the first damaged block in use begins; None: there is none.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for number in range(3):
            if not _fits_at(content, number * _HEADER_BYTES, _HEADER_BYTES):
                return number * _HEADER_BYTES
        _, _, free_list, blocks, size = max(
            _HEADER.unpack_from(content, number * _HEADER_BYTES + 8) for number in (1, 2)
        )
        size = size or 1 << 18
        free = _free(content, free_list, size)
        for block in range(blocks):
            at = _BLOCKS_AT + block * size
            if block not in free and not _fits_at(content, at, size):
                return at
    return None


def _fits_at(content: mmap.mmap, at: int, size: int) -> bool:
    if at + size > len(content):
        return False
    with memoryview(content) as view, view[at : at + size] as block:
        return fits(block)


def _free(content: mmap.mmap, pointer: int, size: int) -> frozenset[int]:
    """Read the list of free blocks; what of it cannot be read frees none."""
    data, seen = bytearray(), set()
    piece = (size - 8) // _PIECES // 8 * 8
    while pointer != _NONE and pointer not in seen:
        seen.add(pointer)
        block, place = pointer & (1 << 56) - 1, pointer >> 56
        at = _BLOCKS_AT + block * size + 8 + place * piece
        if at + piece > len(content):
            break
        (pointer,) = struct.unpack_from("<Q", content, at)
        data += content[at + 8 : at + piece]
    if len(data) < 8:
        return frozenset()
    (count,) = struct.unpack_from("<Q", data)
    return frozenset(struct.unpack_from(f"<{min(count, len(data) // 8 - 1)}Q", data, 8))
