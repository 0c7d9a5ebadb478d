"""Lets the C library keep the memory of large arrays from one block to the next.

A block of lines, and each array made of it, has megabytes. glibc takes such pieces from the kernel
and gives them back as soon as they are free, so that every block pays for all its pages anew: a
tenth of the time of a run over a file.
"""

import ctypes

__all__ = ["keep_freed_memory"]

# Source: glibc, `malloc.h`.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 512 << 20  # free memory at the end of the heap; what is beyond goes back
_LARGEST_BYTES = 256 << 20  # of one piece that is kept


def keep_freed_memory() -> bool:
    """Keep what is freed for the next block; tells whether the C library can do that."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    kept = mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES), mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    return all(kept)
