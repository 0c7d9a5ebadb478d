"""Nine features of each series in a bucket: of the bucket alone, and of its last 12 to 48.

Sums over rings of past buckets are of whole numbers (small steps of a scale): what is added and
taken back leaves no residue. Functions of one side see that side only, in every feature.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import LARGEST, RING, SHORT_RING
from engine.anomaly.bank.places import Bucket, pick, put, shared

__all__ = ["Looks", "features_of", "learn_rings"]

Numbers = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

_STEPS = 16384.0  # of a scale
_CAP = 3.0  # scales
_REFERENCE = 1000.0  # buckets
_WINDOWS = np.array([[12.0], [24.0], [48.0]])


@dataclass(frozen=True, slots=True)
class Looks:
    """What a bucket looks like.

    Attributes
    ----------
    z : float64, shape (2, m)
        Fast and slow residual in scales.
    features : float32, shape (9, m)
        In the order of `engine.anomaly.bank.tuning.FEATURES`, at least 0.
    descriptors : float32, shape (10, m)
        In the unit of the series, at least 0: fast and slow residual, mean of 12 slow ones and step
        upwards; the same downwards; mean of 12 |fast residual|; run of the value.
    run : float64, shape (m,)
    fresh : float64, shape (3, m)
        What enters the rings of slow z, |fast z|, fast z, in steps.
    raw : float32, shape (2, m)
        What enters the ring in the series' unit.
    sums : float64, shape (5, m)
        Of the rings, this bucket included, in steps.
    """

    z: Numbers
    features: Singles
    descriptors: Singles
    run: Numbers
    fresh: Numbers
    raw: Singles
    sums: Numbers


def features_of(
    bucket: Bucket, x: Numbers, residuals: Numbers, z: Numbers, side: Numbers | None
) -> Looks:
    """Look at a bucket; `z` are the residuals in scales, 0 while the series is too young.

    `side` is None where no series has one.
    """
    scalars = bucket.scalars
    buckets = scalars.buckets + 1.0
    features = np.empty((9, x.size), np.float32)
    most = np.minimum(np.maximum(z, -LARGEST), LARGEST)
    size = features[0] = _sided(most[0], side)
    fresh = np.empty((3, x.size))
    fresh[0], fresh[1], fresh[2] = most[1], size, most[0]
    # One spike is no shift: the mean of several buckets is not to be ruled by one of them.
    np.rint(np.minimum(np.maximum(fresh, -_CAP), _CAP) * _STEPS, out=fresh)
    sums = _sums(bucket, fresh)
    same = (x == scalars.last_x) & (scalars.buckets > 0.0)
    run = (scalars.run + 1.0) * same
    features[1] = np.maximum(most[1], 0.0)
    features[2] = np.maximum(-most[1], 0.0)
    within = np.minimum(buckets, _WINDOWS) * _STEPS
    features[3:6] = _sided(sums[:3] / within, side)
    usual = scalars.usual_size
    spread = (sums[3] / within[2] - usual) / (usual + 1e-9)
    features[6] = np.abs(spread)
    features[7] = _sided(sums[4] / within[0], side)
    features[8] = run
    if side is not None:
        features[1] *= side >= 0.0
        features[2] *= side <= 0.0
        features[6] = np.where(side == 0.0, features[6], np.maximum(spread, 0.0))
    raw = residuals[::-1].copy()
    np.abs(raw[1], out=raw[1])
    raw32 = np.minimum(np.maximum(raw, -LARGEST), LARGEST).astype(np.float32)
    means = _raw_sums(bucket, raw32) / np.minimum(buckets, 12.0)
    descriptors = np.empty((10, x.size))
    descriptors[:2], descriptors[2], descriptors[3] = residuals, means[0], x - scalars.last_x
    np.negative(descriptors[:4], out=descriptors[4:8])
    descriptors[8], descriptors[9] = means[1], run
    descriptors = np.minimum(np.maximum(descriptors, 0.0), LARGEST)
    return Looks(z, features, descriptors.astype(np.float32), run, fresh, raw32, sums)


def _sided(values: Numbers, side: Numbers | None) -> Numbers:
    """Give sizes; of the values on its side only where a series has a side."""
    sizes = np.abs(values)
    if side is None:
        return sizes
    return np.where(side == 0.0, sizes, np.maximum(values * side, 0.0))


def _sums(bucket: Bucket, fresh: Numbers) -> Numbers:
    """Give the sums of the rings as they are with what enters, shape (5, m)."""
    tables, columns = bucket.tables, bucket.columns
    at = shared(bucket.scalars.buckets)
    sums = bucket.scalars.sums.copy()
    sums[0] -= pick(tables.slow_ring, (at - 12) % RING, columns)
    sums[1] -= pick(tables.slow_ring, (at - 24) % RING, columns)
    sums[2] -= pick(tables.slow_ring, at % RING, columns)
    sums[3] -= pick(tables.size_ring, at % RING, columns)
    sums[4] -= pick(tables.fast_ring, at % SHORT_RING, columns)
    sums[:3] += fresh[0]
    sums[3:] += fresh[1:]
    return sums


def _raw_sums(bucket: Bucket, raw: Singles) -> Singles:
    """Add up the last 12 in the series' unit, this one included: in float32, never rolled."""
    columns = bucket.columns
    ring = bucket.tables.raw_ring[:, :, columns]
    if isinstance(columns, slice):
        ring = ring.copy()
    at = shared(bucket.scalars.buckets) % SHORT_RING
    put(ring, at, slice(0, raw.shape[1]), raw)
    half = ring[:, :6] + ring[:, 6:]
    quarter = half[:, :3] + half[:, 3:]
    total: Singles = quarter[:, 0] + quarter[:, 1] + quarter[:, 2]
    return total


def learn_rings(bucket: Bucket, looks: Looks) -> None:
    """Let the bucket enter the rings; `buckets` counts it already."""
    scalars, tables, columns = bucket.scalars, bucket.tables, bucket.columns
    at = shared(scalars.buckets - 1.0)
    put(tables.slow_ring, at % RING, columns, looks.fresh[0])
    put(tables.size_ring, at % RING, columns, looks.fresh[1])
    put(tables.fast_ring, at % SHORT_RING, columns, looks.fresh[2])
    put(tables.raw_ring, at % SHORT_RING, columns, looks.raw)
    scalars.sums[...] = looks.sums
    size = looks.fresh[1] / _STEPS
    gain = np.maximum(1.0 / _REFERENCE, 1.0 / scalars.buckets)
    # A series begins with a reference of 1, which its first bucket replaces: its gain is 1.
    scalars.usual_size += gain * (size - scalars.usual_size)
