"""The scale of each series' residuals, by time of day, and what is usual at this time of day."""

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import LARGEST, Scalars
from engine.anomaly.bank.places import Bucket, numbers_of, pick, put, shared, spread
from engine.anomaly.bank.seasons import DAY_S, grain
from engine.anomaly.bank.tuning import Tuning

__all__ = [
    "accept_day",
    "accept_week",
    "learn_scales",
    "roll_slots",
    "scales_at",
    "spread_with",
    "usual_today",
]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def spread_with(scalars: Scalars, x: Numbers, tuning: Tuning) -> tuple[Numbers, Numbers]:
    """Give the long mean and the mean distance from it, a bucket further."""
    gain = np.maximum(1.0 / tuning.long_buckets, 1.0 / (scalars.buckets + 1.0))
    mean = scalars.long_mean + gain * (x - scalars.long_mean)
    return mean, scalars.spread + gain * (np.abs(x - mean) - scalars.spread)


def scales_at(bucket: Bucket) -> Numbers:
    """Give the scales of the fast and the slow residual, shape (2, m): never 0.

    They rest on the past alone, so that nothing bounds how unusual a value can be.
    """
    scalars, table, columns, tuning = (
        bucket.scalars,
        bucket.tables.slot_scales,
        bucket.columns,
        bucket.tuning,
    )
    slot, slots = bucket.place.slot, bucket.place.slots
    near = np.maximum(
        pick(table, (slot - 1) % slots, columns), pick(table, (slot + 1) % slots, columns)
    )
    # As float64 from here on, whatever company the series are in.
    by_slot = np.maximum(pick(table, slot, columns), near).astype(np.float64)
    young = bucket.place.start_s - scalars.reset_s < tuning.dispersion_days * DAY_S
    if young.any():
        # Until each slot was seen the mean stands in, once a season was accepted.
        instead = scalars.scales * (scalars.reset_s > scalars.began_s)
        by_slot = np.where(young, instead, by_slot)
    least = tuning.scale_floor * scalars.spread + (1e-9 * np.abs(scalars.long_mean) + 1e-300)
    scales: Numbers = scalars.scales + tuning.slot_share * by_slot + least
    return scales


def learn_scales(bucket: Bucket, sizes: Numbers) -> None:
    """Move the mean |residual|; `buckets` counts the bucket already."""
    scalars = bucket.scalars
    gain = np.maximum(1.0 / bucket.tuning.scale_buckets, 1.0 / scalars.buckets)
    scalars.scales += gain * (sizes - scalars.scales)


def roll_slots(bucket: Bucket, sizes: Numbers) -> None:
    """Close the slot of the day that has ended, and take the bucket into its own."""
    scalars = bucket.scalars
    changed = scalars.slot != bucket.place.slot
    if changed.any():
        some = np.flatnonzero(changed & (scalars.slot >= 0.0))
        if some.size:
            _close_slots(bucket, some)
        np.copyto(scalars.slot, bucket.place.slot, where=changed)
        scalars.peaks *= ~changed
    np.maximum(scalars.peaks, sizes, out=scalars.peaks)


def _close_slots(bucket: Bucket, some: Codes) -> None:
    scalars, tables, columns = bucket.scalars, bucket.tables, bucket.columns
    if some.size < scalars.slot.size:
        columns = numbers_of(columns)[some]
    at = shared(scalars.slot[some])
    days = (spread(bucket.place.start_s, scalars)[some] - scalars.reset_s[some]) / DAY_S
    gain = np.maximum(bucket.tuning.slot_gain, 1.0 / (1.0 + days))
    peaks = np.minimum(scalars.peaks[:, some], LARGEST)
    scale = pick(tables.slot_scales, at, columns)
    put(tables.slot_scales, at, columns, scale + gain * (peaks - scale))
    before = pick(tables.slot_days, at, columns)
    put(tables.slot_days, at, columns, np.concatenate([peaks[None], before[:2]]))


def accept_day(bucket: Bucket, some: Codes) -> None:
    """Begin the scales anew where the daily profile is accepted: they held what it explains."""
    scalars = bucket.scalars
    scalars.day_accepted[some] = 1.0
    scalars.scales[1, some] = scalars.error_day[some]
    scalars.scales[0, some] = np.minimum(scalars.scales[0, some], scalars.error_fast[some])
    scalars.reset_s[some] = spread(bucket.place.start_s, scalars)[some]
    bucket.tables.slot_scales[:, :, numbers_of(bucket.columns)[some]] = 0.0


def accept_week(bucket: Bucket, some: Codes) -> None:
    """Lower the scales by what the weekly profile explains."""
    scalars, table = bucket.scalars, bucket.tables.slot_scales
    numbers = numbers_of(bucket.columns)[some]
    scalars.week_accepted[some] = 1.0
    scalars.scales[1, some] = scalars.error_week[some]
    left = scalars.error_week[some] / (scalars.error_no_week[some] + grain(scalars)[some])
    table[0][:, numbers] *= np.float32(0.7)
    table[1][:, numbers] = table[1][:, numbers] * left


def usual_today(bucket: Bucket, some: Codes) -> Numbers:
    """Give what this time of day has seen of late, of both residuals: shape (2, k).

    The median of the last three days of the largest |residual| within two slots of this one.
    """
    scalars, numbers = bucket.scalars, numbers_of(bucket.columns)[some]
    slot = spread(bucket.place.slot, scalars)[some]
    slots = spread(bucket.place.slots, scalars)[some]
    open_slot = scalars.slot[some]
    largest = np.zeros((3, 2, some.size))
    for step in (-2, -1, 0, 1, 2):
        near = (slot + step) % slots
        days = bucket.tables.slot_days[:, :, near, numbers]
        # The slot of the bucket before is not closed yet if this bucket is the first of the next.
        unclosed = (open_slot == near) & (open_slot != slot)
        if unclosed.any():
            closed = np.concatenate([scalars.peaks[None, :, some], days[:2]])
            days = np.where(unclosed, closed, days)
        if step < 0:  # visited today already
            days = days[[1, 2, 2]]
        largest = np.maximum(largest, days)
    first, second, third = largest
    return np.maximum(np.minimum(first, second), np.minimum(np.maximum(first, second), third))
