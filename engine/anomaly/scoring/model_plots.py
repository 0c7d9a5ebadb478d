"""What is kept of every bucket to draw a series with its expected band."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.anomaly.definition import Job
from engine.anomaly.results.result_rows import Plotted
from engine.anomaly.scoring.judged import Judged
from engine.anomaly.values import Keys

__all__ = ["SERIES_MAX", "plotted"]

SERIES_MAX = 20
"""Series of a split detector; beyond it, only their records are kept."""

_NUMBERS = ("actual", "typical", "lower", "upper")


def plotted(job: Job, judged: Sequence[Judged], keys: Sequence[Keys]) -> Plotted:
    """Give what can be drawn of a bucket.

    Parameters
    ----------
    job : Job
    judged : sequence of Judged
        By detector.
    keys : sequence of Keys
        By detector.
    """
    columns: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in (*_NUMBERS, "detector_index")
    }
    texts: dict[str, Any] = {name: [] for name in _TEXTS}
    for detector, said, own in zip(job.detectors, judged, keys, strict=True):
        if detector.split and len(own) > SERIES_MAX:
            continue
        for base, part in zip(detector.bases, said.parts, strict=True):
            size = len(part.series)
            for name in _NUMBERS:
                columns[name].append(getattr(part, name))
            columns["detector_index"].append(np.full(size, detector.index))
            texts["function"].extend([base] * size)
            for kind in ("by", "over", "partition"):
                # A whole count is there before its first row, and has no names.
                names = getattr(own, kind)[part.series].tolist() if detector.split else None
                texts[f"{kind}_field_value"].extend(names or [None] * size)
    if not columns["actual"]:
        return Plotted()
    joined: dict[str, Any] = {name: np.concatenate(each) for name, each in columns.items()}
    return Plotted(**joined, **texts)


_TEXTS = ("function", "by_field_value", "over_field_value", "partition_field_value")
