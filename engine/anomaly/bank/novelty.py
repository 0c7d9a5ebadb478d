"""Whether something as large has been seen before: surprise is less where it comes back.

Per block of 24 buckets the largest of each descriptor is remembered, the 24 largest of all blocks,
slowly ageing. The rarest descriptor counts: how many remembered ones are nearly as large.
"""

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import BLOCK, NOVELTIES
from engine.anomaly.bank.exceedances import with_largest
from engine.anomaly.bank.places import Bucket, numbers_of

__all__ = ["discount_of", "learn_novelty"]

Numbers = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]

# Of the descriptors (see features.Looks), by side: those that a function of one side looks at.
_UPWARDS, _DOWNWARDS = np.arange(10) < 4, (np.arange(10) >= 4) & (np.arange(10) < 8)
_AT_ONCE = 1000  # series whose memory fits in a core's cache


def discount_of(bucket: Bucket, descriptors: Singles, some: Codes) -> Numbers:
    """Give how many powers of ten are taken off the surprise at some places, shape (k,)."""
    tuning = bucket.tuning
    value = descriptors[:, some].T
    remembered = bucket.tables.novelties[numbers_of(bucket.columns)[some]]
    seen = (remembered >= value[:, :, None] * np.float32(tuning.as_large)).sum(axis=2)
    says = value > 0.0
    side = bucket.scalars.side[some][:, None]
    if side.any():
        says &= ((side >= 0.0) | ~_UPWARDS) & ((side <= 0.0) | ~_DOWNWARDS)
        says &= (side == 0.0) | _UPWARDS | _DOWNWARDS
    rarest = np.where(says, seen, NOVELTIES).min(axis=1)
    discount: Numbers = tuning.novel_discount * np.log10(1.0 + rarest)
    return discount


def learn_novelty(bucket: Bucket, descriptors: Singles) -> None:
    """Take the bucket into its block, and close the block that is full."""
    scalars, tables, columns = bucket.scalars, bucket.tables, bucket.columns
    most = np.maximum(tables.block_most[:, columns], descriptors)
    scalars.in_block += 1.0
    full = scalars.in_block >= BLOCK
    if full.any():
        some = np.flatnonzero(full)
        for start in range(0, some.size, _AT_ONCE):
            part = some[start : start + _AT_ONCE]
            numbers = numbers_of(columns)[part]
            memory = tables.novelties[numbers] * np.float32(bucket.tuning.novel_ageing)
            tables.novelties[numbers] = with_largest(memory, most[:, part].T)
        most[:, some] = 0.0
        scalars.in_block[some] = 0.0
    tables.block_most[:, columns] = most
