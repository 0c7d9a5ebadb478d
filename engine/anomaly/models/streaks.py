"""How many buckets in a row a series has been unusual (p < .05)."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.anomaly.models.groups import grown, looked_up

__all__ = ["Streaks"]

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_LN_UNUSUAL = float(np.log(0.05))


class Streaks:
    """Lengths of the streaks of all series, and when the last bucket of each began.

    Parameters
    ----------
    length, start_s : int64, shape (series,), optional
    """

    def __init__(self, length: Codes | None = None, start_s: Codes | None = None) -> None:
        self.length = np.zeros(0, np.int64) if length is None else length
        self.start_s = np.zeros(0, np.int64) if start_s is None else start_s

    def with_bucket(self, series: Codes, ln_p: Numbers, start_s: int, span_s: int) -> Codes:
        """Give the streaks that end with this bucket, 0 where it is usual; shape (m,)."""
        goes_on = looked_up(self.start_s, series) == start_s - span_s
        before = np.where(goes_on, looked_up(self.length, series), 0)
        return np.where(ln_p < _LN_UNUSUAL, before + 1, 0)

    def learn(self, series: Codes, length: Codes, start_s: int) -> None:
        """Remember what `with_bucket` gave."""
        size = int(series.max(initial=-1)) + 1
        self.length, self.start_s = grown(self.length, size), grown(self.start_s, size)
        self.length[series], self.start_s[series] = length, start_s

    @property
    def nbytes(self) -> int:
        """Bytes of all series."""
        return self.length.nbytes + self.start_s.nbytes

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the state, its names beginning with ``streaks``."""
        return {"streaks.length": self.length.copy(), "streaks.start_s": self.start_s.copy()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Make the streaks of what `to_arrays` gave."""
        return cls(
            *(np.array(arrays[f"streaks.{name}"], np.int64) for name in ("length", "start_s"))
        )
