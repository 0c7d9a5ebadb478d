"""The one tuning of the bank of series: every constant of the model, with its meaning."""

from dataclasses import dataclass

__all__ = ["FEATURES", "MULTI", "SINGLE", "Tuning"]

FEATURES = (
    "spike",
    "high",
    "low",
    "mean of 12 buckets",
    "mean of 24 buckets",
    "mean of 48 buckets",
    "spread of 48 buckets",
    "rise or fall within 12 buckets",
    "unchanged value",
)
"""What is looked at in each bucket, in the order of all arrays of features."""

SINGLE = (0, 1, 2, 8)
"""Features of the bucket alone."""

MULTI = (3, 4, 5, 6, 7)
"""Features of the last 12 to 48 buckets together."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Constants of the model, measured together on the design's prototype: one for all series.

    Attributes
    ----------
    slots_max, buckets_per_slot : int
        The day is cut in slots of at least so many buckets, at most so many slots, at least 4.
    slot_gain, week_gain : float
        Learning rate of the daily and weekly profile, per day and week of visits.
    level_buckets, fast_buckets, scale_buckets, error_buckets, long_buckets : float
        Time constants: slow and fast level, mean |residual|, errors with and without season, and
        the long mean with its spread.
    slot_share, scale_floor : float
        Weights in the scale of the slot's dispersion, and of the series' whole spread.
    dispersion_days : float
        Days after which the dispersion by time of day is trusted.
    accept_from, accept_span : float
        Share of the error that a season must save to count at all, and from there to count fully.
    clip : float
        A profile learns no more than so many mean |residual| at once.
    kept_memory : float
        Share of the memory of exceedances kept when a season is first accepted.
    excuse : float
        A residual is usual within so many times what this time of day saw in three days.
    tail_rank, tail_index : float
        Pareto tail beyond the exceedance of that rank, p ~ z^(-1/index).
    rank_slack, record_index : float
        p is at least so much of the empirical rank's, falling so slowly beyond the record.
    memory_max : float
        Length of history that a probability can rest on, buckets.
    surprise_max : float
        Cap of a feature's surprise, in powers of ten.
    weights : tuple of float
        Of `FEATURES` in the mean.
    as_large, novel_ageing, novel_discount : float
        A change is as large as one before from this share on; ageing of that memory per block;
        powers of ten off per tenfold repetition.
    patience, refractory_share, refractory_min, refractory_max : float
        Within so many buckets of an alert only what is `patience` times as large passes.
    length_discount : float
        Powers of ten off per tenfold length of history.
    p_slope : float
        log10 p = -p_slope x alert: null-checked, conservative for light tails.
    band : float
        Scales from the typical value to the bounds of what is usual, about 95 % of buckets.
    """

    slots_max: int = 96
    buckets_per_slot: int = 2
    slot_gain: float = 0.12
    week_gain: float = 0.3
    level_buckets: float = 400.0
    fast_buckets: float = 3.0
    scale_buckets: float = 500.0
    error_buckets: float = 500.0
    long_buckets: float = 2000.0
    slot_share: float = 0.85
    scale_floor: float = 0.01
    dispersion_days: float = 1.05
    accept_from: float = 0.2
    accept_span: float = 0.3
    clip: float = 8.0
    kept_memory: float = 0.2
    excuse: float = 1.7
    tail_rank: int = 12
    tail_index: float = 0.3
    rank_slack: float = 0.2
    record_index: float = 0.6
    memory_max: float = 20000.0
    surprise_max: float = 12.0
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 0.7)
    as_large: float = 0.8
    novel_ageing: float = 0.9995
    novel_discount: float = 0.5
    patience: float = 1.4
    refractory_share: float = 0.045
    refractory_min: float = 40.0
    refractory_max: float = 600.0
    length_discount: float = 0.25
    p_slope: float = 1.25
    band: float = 1.1
