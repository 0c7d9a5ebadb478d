"""How much memory long lines take when DuckDB writes them, so that it is given that much.

DuckDB compresses 2,048 rows of a text together and has all of them in memory until then; who reads
them back needs them once more. Lines of 1 MiB are 2 GiB in this way, whatever the block they came
in: without room for them, the run that has to write them ends, and so does every one after it.
"""

from collections import deque

__all__ = ["FREE_BYTES", "WideRows"]

_TOGETHER = 2_048  # rows
_TIMES = 2  # written, and read back
FREE_BYTES = 256 << 20  # of what there is anyhow
_STEP_BYTES = 64 << 20


class WideRows:
    """What the longest 2,048 lines in a row need.

    Parameters
    ----------
    extra_bytes : int
        What was found to be needed before; it is never less.

    Attributes
    ----------
    extra_bytes : int
        To be had beyond the usual.
    """

    def __init__(self, extra_bytes: int = 0) -> None:
        self.extra_bytes = extra_bytes
        self._blocks: deque[tuple[int, int]] = deque()  # rows, bytes
        self._rows = self._bytes = 0

    def note(self, rows: int, size: int) -> bool:
        """Take the lines of one block into account.

        Parameters
        ----------
        rows, size : int
            Lines, and bytes of all of them.

        Returns
        -------
        bool
            More is needed than before.
        """
        # Lines of the same 2,048 may lie in all the blocks that stay.
        while self._blocks and self._rows - self._blocks[0][0] >= _TOGETHER - 1:
            first_rows, first_bytes = self._blocks.popleft()
            self._rows -= first_rows
            self._bytes -= first_bytes
        self._blocks.append((rows, size))
        self._rows += rows
        self._bytes += size
        wanted = _TIMES * self._bytes - FREE_BYTES
        if wanted <= self.extra_bytes:
            return False
        self.extra_bytes = -(-wanted // _STEP_BYTES) * _STEP_BYTES
        return True
