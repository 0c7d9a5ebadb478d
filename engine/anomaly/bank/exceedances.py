"""How surprising a feature is: its rank among the largest that the series has ever shown.

The 32 largest of n past values are kept. Below the least of them, s = log10((n + 1) / 32.5) v / u:
linear, and only multiplied. Above it, a Pareto tail from the 12th largest, held by the empirical
rank and, beyond the record, by a flatter tail. Surprise is in powers of ten of a probability.
"""

import numpy as np
import numpy.typing as npt

from engine.anomaly.bank.bank_state import BLOCK, LARGEST, MEMORY
from engine.anomaly.bank.features import Looks
from engine.anomaly.bank.places import Bucket, numbers_of
from engine.anomaly.bank.tuning import Tuning

__all__ = ["forget", "learn_exceedances", "surprises_of", "with_largest"]

Numbers = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_YOUNG = 30.0  # buckets; before, nothing is surprising
_FULL = float(MEMORY * BLOCK)  # buckets, from which on the memory is one of blocks
_OVERLAPS = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0])  # features of windows
_TINY = np.float32(1e-30)


def surprises_of(bucket: Bucket, looks: Looks, known: Flags) -> Numbers:
    """Give the surprise of each feature, shape (9, m); 0 is nothing, where no value is, any."""
    features, least = looks.features, bucket.tables.least[:, bucket.columns]
    young = bucket.scalars.history < _YOUNG
    history = _independent(bucket.scalars.history)
    base = np.log10((history + 1.0) / (np.minimum(history, MEMORY) + 0.5))
    base = np.where(young, 0.0, np.maximum(base, 0.0))
    surprise: Numbers = np.minimum(features, least) / np.maximum(least, _TINY) * base[_OVERLAPS]
    feature, place = _where(features > least)
    judged = known[place] & ~young[place]
    if judged.any():
        which, where = feature[judged], place[judged]
        memory = bucket.tables.exceedances[numbers_of(bucket.columns)[where], which]
        value = _exact(features[which, where], looks.z, which, where)
        surprise[which, where] = _beyond(
            value, memory, history[_OVERLAPS[which], where], bucket.tuning
        )
    return surprise


def _independent(history: Numbers) -> Numbers:
    """Give what a history counts, of features of one bucket and of several: shape (2, m)."""
    counted = np.empty((2, history.size))
    counted[0] = history
    # Windows overlap, so their features come in runs, of which a block keeps only one.
    counted[1] = history / np.where(history < _FULL, 1.0, 2.0)
    return counted


def _exact(value: Singles, z: Numbers, which: Codes, where: Codes) -> Numbers:
    """Give what features are where float32 ends: of the bucket alone, they have no bound."""
    exact = value.astype(np.float64)
    beyond = np.flatnonzero((exact >= 0.999 * LARGEST) & (which < 3))
    if beyond.size:
        exact[beyond] = np.abs(z[np.minimum(which[beyond], 1), where[beyond]])
    return exact


def _where(flags: Flags) -> tuple[Codes, Codes]:
    """Give rows and columns of what is set; several times faster than `nonzero` of a matrix."""
    flat = flags.reshape(-1).nonzero()[0]
    row = flat // max(flags.shape[1], 1)
    return row, flat - row * flags.shape[1]


def _beyond(value: Numbers, memory: Singles, history: Numbers, tuning: Tuning) -> Numbers:
    larger = (memory >= value[:, None]).sum(axis=1)
    empirical = np.log10((history + 1.0) / (larger + 0.5))
    anchor = memory[:, MEMORY - tuning.tail_rank].astype(np.float64)
    record = memory[:, -1].astype(np.float64)
    beyond = np.log10(value / np.maximum(anchor, _TINY)) / tuning.tail_index
    pareto = np.log10((history + 1.0) / tuning.tail_rank) + beyond
    tail = np.where((value > anchor) & (anchor > 0.0), pareto, empirical)
    # A value within the memory is above its record only if it is the record: no rank, no more.
    above = np.log10(np.maximum(value / np.maximum(record, _TINY), 1.0)) * (record > 0.0)
    limit = empirical - np.log10(tuning.rank_slack) + above / tuning.record_index
    full = np.maximum(np.minimum(tail, limit), 0.0)
    ranked = np.where(larger < np.minimum(MEMORY, history), empirical, 0.0)
    return np.where(memory[:, 0] > 0.0, full, ranked)


def learn_exceedances(bucket: Bucket, features: Singles) -> None:
    """Remember what is above the least remembered; to be called before `learn_novelty`.

    Once the memory can be full of blocks, only the largest of each block of 24 buckets enters, at
    its end. Else a slow drift would fill the memory with itself and never be surprising.
    """
    tables, history = bucket.tables, bucket.scalars.history
    early = history < _FULL
    ends = bucket.scalars.in_block + 1.0 >= BLOCK
    most = np.maximum(tables.block_features[:, bucket.columns], features)
    tables.block_features[:, bucket.columns] = most * ~ends
    features = np.where(early, features, most)
    feature, place = _where((features > tables.least[:, bucket.columns]) & (early | ends))
    if feature.size:
        numbers = numbers_of(bucket.columns)[place]
        memory = tables.exceedances[numbers, feature]
        memory = with_largest(memory, features[feature, place])
        tables.exceedances[numbers, feature] = memory
        tables.least[feature, numbers] = memory[:, 0]
    np.minimum(history + 1.0, bucket.tuning.memory_max, out=history)


def with_largest(memory: Singles, value: Singles) -> Singles:
    """Put a value in each rising row, whose least falls out: memory (..., k), value (...)."""
    # Each place keeps what it has, takes the value, or takes what its right neighbour had.
    kept = np.maximum(memory, value[..., None])
    kept[..., :-1] = np.minimum(kept[..., :-1], memory[..., 1:])
    return kept


def forget(bucket: Bucket, some: Codes) -> None:
    """Drop most of the memory: a season was accepted, the features mean something else now."""
    numbers, share = numbers_of(bucket.columns)[some], bucket.tuning.kept_memory
    bucket.scalars.history[some] *= share
    memory = bucket.tables.exceedances[numbers]
    # The largest go: they are residuals that the season now explains.
    memory[:, :, int(MEMORY * share) :] = 0.0
    memory.sort(axis=2)
    bucket.tables.exceedances[numbers] = memory
    bucket.tables.least[:, numbers] = 0.0
