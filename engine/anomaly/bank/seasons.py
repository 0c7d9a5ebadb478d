"""Level, daily and weekly profile of each series: what a bucket is expected to hold.

The first full day becomes a level and a profile around it. Later each profile learns what the
other leaves, and counts by the share of the error that it saves: a weight within 0 and 1, found and
dropped by evidence.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import LARGEST, Scalars
from engine.anomaly.bank.places import Bucket, numbers_of, pick, put
from engine.anomaly.bank.tuning import Tuning

__all__ = [
    "DAY_S",
    "Parts",
    "begin",
    "grain",
    "learn_levels",
    "learn_profiles",
    "learn_weights",
    "parts_at",
    "season_of",
    "split_profiles",
    "starting",
]

Numbers = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

DAY_S = 86400.0
_WEEK_DAYS = 7.0
_DAY_FROM, _WEEK_FROM = 1.5, 8.5  # days from which a profile may count
_ACCEPTED = 0.5  # weight


@dataclass(frozen=True, slots=True)
class Parts:
    """The profiles at a bucket's place.

    Attributes
    ----------
    day, week : float, shape (m,)
        0 where nothing is known.
    tried : bool, shape (m,)
        The daily part is known.
    week_visits : float32, shape (m,)
    """

    day: Numbers
    week: Singles
    tried: Flags
    week_visits: Singles


def grain(scalars: Scalars) -> Numbers:
    """Give what is no more than rounding in the unit of the series; never 0."""
    return 1e-13 * np.abs(scalars.long_mean) + 1e-300


def starting(bucket: Bucket, known: Flags) -> tuple[Flags, Flags] | None:
    """Tell the series whose first value this is, and those whose first day is over, if any."""
    scalars = bucket.scalars
    if scalars.split.size == 0 or scalars.split.min() > 0.0:
        return None
    fresh = known & (scalars.buckets == 0.0)
    over = (scalars.split == 0.0) & (bucket.place.start_s - scalars.began_s >= DAY_S)
    crossing = known & over & ~fresh
    return (fresh, crossing) if fresh.any() or crossing.any() else None


def begin(bucket: Bucket, x: Numbers, which: tuple[Flags, Flags]) -> Numbers:
    """Start new series, and split first days in level and profile; scalars change in place.

    Returns
    -------
    float64, shape (m,)
        What the profile of each series has to lose.
    """
    scalars = bucket.scalars
    fresh, crossing = which
    for one in (scalars.long_mean, scalars.fast_rest, scalars.last_x, scalars.levels):
        np.copyto(one, x, where=fresh)
    for one in (scalars.began_s, scalars.reset_s):
        np.copyto(one, bucket.place.start_s, where=fresh)
    less = np.zeros(x.size)
    some = np.flatnonzero(crossing)
    if some.size:
        numbers = numbers_of(bucket.columns)[some]
        seen = bucket.tables.visits[:, numbers] > 0.0
        # Running sums add in order; a plain sum's order depends on how many series there are.
        total = np.cumsum(bucket.tables.profile[:, numbers] * seen, axis=0)[-1]
        less[some] = scalars.levels[1, some] = total / np.cumsum(seen, axis=0)[-1]
        scalars.split[some] = 1.0
    return less


def split_profiles(bucket: Bucket, less: Numbers, crossing: Flags) -> None:
    """Take the level out of the profiles whose first day is over."""
    some = np.flatnonzero(crossing)
    if some.size:
        numbers = numbers_of(bucket.columns)[some]
        seen = bucket.tables.visits[:, numbers] > 0.0
        profile = bucket.tables.profile[:, numbers]
        bucket.tables.profile[:, numbers] = np.where(seen, profile - less[some], 0.0)


def parts_at(bucket: Bucket, less: Numbers | None = None) -> Parts:
    """Read the profiles; `less` is what `begin` gave."""
    tables, place, columns = bucket.tables, bucket.place, bucket.columns
    day = pick(tables.profile, place.slot, columns)
    if less is not None:
        day = day - less
    tried = (pick(tables.visits, place.slot, columns) > 0.0) & (bucket.scalars.split > 0.0)
    return Parts(
        day=np.where(tried, day, 0.0),
        week=pick(tables.week, place.hour, columns).copy(),
        tried=tried,
        week_visits=pick(tables.week_visits, place.hour, columns).copy(),
    )


def season_of(scalars: Scalars, parts: Parts) -> Numbers:
    """Give what the seasons add to the level, as they are believed now."""
    return scalars.day_weight * parts.day + scalars.week_weight * parts.week


def learn_weights(bucket: Bucket, parts: Parts, x: Numbers) -> tuple[Flags, Flags]:
    """Weigh the profiles by the error they save; tell where each is accepted for the first time."""
    scalars, tuning = bucket.scalars, bucket.tuning
    days = (bucket.place.start_s - scalars.began_s) / DAY_S
    small = grain(scalars)
    cap = 6.0 * (scalars.scales + small)
    tried = parts.tried
    scalars.tried += tried
    gain = np.maximum(1.0 / tuning.error_buckets, 1.0 / np.maximum(scalars.tried, 1.0)) * tried
    rest = x - scalars.week_weight * parts.week
    flat = rest - scalars.levels[1]
    _follow(scalars.error_flat, flat, cap[1], gain)
    _follow(scalars.error_day, flat - parts.day, cap[1], gain)
    rest -= parts.day + scalars.fast_rest
    _follow(scalars.error_fast, rest, cap[0], gain)
    scalars.fast_rest += rest * tried / tuning.fast_buckets
    weight = _weight(scalars.error_day, scalars.error_flat + small, tuning)
    np.copyto(scalars.day_weight, weight, where=tried & (days > _DAY_FROM))
    visited = (parts.week_visits > 0.0) & (days > _WEEK_DAYS)
    if visited.any():
        flat = x - scalars.levels[1] - scalars.day_weight * parts.day
        gain = visited / tuning.error_buckets
        _follow(scalars.error_no_week, flat, cap[1], gain)
        _follow(scalars.error_week, flat - parts.week, cap[1], gain)
        weight = _weight(scalars.error_week, scalars.error_no_week + small, tuning)
        np.copyto(scalars.week_weight, weight, where=visited & (days > _WEEK_FROM))
    day = (scalars.day_accepted == 0.0) & (scalars.day_weight > _ACCEPTED) & (days > 1.9)
    return day, (scalars.week_accepted == 0.0) & (scalars.week_weight > _ACCEPTED)


def _follow(mean: Numbers, error: Numbers, cap: Numbers, gain: Numbers) -> None:
    mean += gain * (np.minimum(np.abs(error), cap) - mean)


def _weight(error: Numbers, without: Numbers, tuning: Tuning) -> Numbers:
    saved = (1.0 - error / without - tuning.accept_from) / tuning.accept_span
    return np.minimum(np.maximum(saved, 0.0), 1.0)


def learn_profiles(bucket: Bucket, parts: Parts, x: Numbers) -> None:
    """Move both profiles towards a bucket's value; `buckets` counts it already."""
    scalars, tables, tuning = bucket.scalars, bucket.tables, bucket.tuning
    slot, columns = bucket.place.slot, bucket.columns
    days = (bucket.place.start_s - scalars.began_s) / DAY_S
    base = x - scalars.levels[1]
    cap = tuning.clip * (scalars.scales[1] + grain(scalars))
    visits = pick(tables.visits, slot, columns) + np.float32(1.0)
    put(tables.visits, slot, columns, visits)
    profile = pick(tables.profile, slot, columns)
    own = 1.0 / visits
    gain = np.maximum(tuning.slot_gain / np.maximum(1.0, visits / (days + 1.0)), own)
    move = base - scalars.week_weight * parts.week
    split = scalars.split > 0.0
    if not split.all():
        move, gain = np.where(split, move, x), np.where(split, gain, own)
    move -= profile
    limit = np.where(split & (scalars.buckets > 50.0), cap, np.inf)
    move = np.minimum(np.maximum(move, -limit), limit)
    put(tables.profile, slot, columns, profile + gain * move)
    late = days > _DAY_FROM
    if late.any():
        rest = base - scalars.day_weight * parts.day - parts.week
        _learn_week(bucket, parts, np.minimum(np.maximum(rest, -cap), cap) * late, days)


def _learn_week(bucket: Bucket, parts: Parts, move: Numbers, days: Numbers) -> None:
    tables, hour, columns = bucket.tables, bucket.place.hour, bucket.columns
    visits = parts.week_visits + (days > _DAY_FROM)
    put(tables.week_visits, hour, columns, visits)
    per_week = np.maximum(1.0, visits / (days / _WEEK_DAYS + 1.0))
    gain = np.maximum(bucket.tuning.week_gain / per_week, 1.0 / (visits + 1.0))
    week = np.minimum(np.maximum(parts.week + gain * move, -LARGEST), LARGEST)
    put(tables.week, hour, columns, week)


def learn_levels(bucket: Bucket, parts: Parts, x: Numbers, rest: Numbers) -> None:
    """Move both levels; `rest` is the value without the season, as it was expected before."""
    scalars, tuning = bucket.scalars, bucket.tuning
    gain = 1.0 / scalars.buckets
    fast, slow = scalars.levels
    fast += np.maximum(1.0 / tuning.fast_buckets, gain) * (rest - fast)
    # The slow level follows what the weights just learned leave.
    rest = x - season_of(scalars, parts)
    slow += np.maximum(1.0 / tuning.level_buckets, gain) * (rest - slow)
