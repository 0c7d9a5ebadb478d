"""What the models say of a bucket, by detector, and which entities have to do with it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.anomaly.influence.influencing import Influences
from engine.anomaly.scores.verdict import Picked
from engine.anomaly.values import Judgement

__all__ = ["Influenced", "Judged"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the models of one detector say of a bucket.

    Attributes
    ----------
    parts : tuple of Judgement
        By base.
    keep : tuple of bool arrays
        By base: which values are learned.
    told : tuple of Judgement
        Those of `parts`, with p = 1 where no result is wanted.
    picked, unusual : Picked
        Every series, and those with a result.
    ln_p : float
        Of all series together.
    """

    parts: tuple[Judgement, ...]
    keep: tuple[Flags, ...]
    told: tuple[Judgement, ...]
    picked: Picked
    unusual: Picked
    ln_p: float


@dataclass(frozen=True, slots=True)
class Influenced:
    """The influencers of one field in one bucket: their codes, rising, and ln p of each."""

    field: str
    influences: Influences
    entity: Codes
    ln_p: Numbers
