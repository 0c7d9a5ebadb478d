"""Keeps freed memory in the process, instead of giving it back to the system after every block.

Every block of 16 MiB allocates and frees several times its size. glibc maps large pieces anew each
time, and the kernel clears each page again: about a fifth of the time of a run. With the limits
raised the pieces are used again. What a run holds at its peak stays the same.
"""

import ctypes

__all__ = ["keep_freed_memory"]

# Names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ONE_GIB = 1 << 30


def keep_freed_memory() -> bool:
    """Tell the C library; False where it is not glibc, and nothing is changed."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    wanted = ((_M_MMAP_THRESHOLD, _ONE_GIB), (_M_TRIM_THRESHOLD, _ONE_GIB), (_M_ARENA_MAX, 2))
    return all(mallopt(name, value) == 1 for name, value in wanted)
