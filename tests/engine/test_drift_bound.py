"""The bound below which no dynamic threshold is computed must be below every threshold."""

import numpy as np
import pytest

from engine.drift import MEASURES
from engine.drift_bins import bin_numbers, bin_texts, category_bins, number_bins
from engine.drift_thresholds import Calibration
from engine.rules.drifting import Binned, BinTrack
from engine.rules.tracks import Series


def sets():
    random = np.random.default_rng(3)
    smooth = random.normal(size=4_000)
    walk = np.convolve(random.normal(size=4_100), 0.9 ** np.arange(100), "valid")[:4_000]
    mostly = np.where(random.random(4_000) < 0.8, 0.0, smooth)
    for name, values in (("smooth", smooth), ("walk", walk), ("mostly", mostly)):
        bins = number_bins(name, values, 10)
        yield name, bins, bin_numbers(bins, values)
    texts = random.choice(["a", "b", "c"], 4_000, p=[0.97, 0.02, 0.01]).tolist()
    bins = category_bins("texts", texts)
    yield "texts", bins, bin_texts(bins, texts)


@pytest.mark.parametrize("measure", sorted(MEASURES))
@pytest.mark.parametrize(
    ("lookback_s", "step_s"), [(300, 30), (86_400, 8_640), (8_640_000, 864_000)]
)
def test_law_no_threshold_is_below_the_bound(measure, lookback_s, step_s):
    series = Series(grouped=False, limit=0)
    track = BinTrack(None, "", series, (lookback_s, step_s), measure)
    for name, bins, codes in sets():
        calibration = Calibration.of(bins, codes, measure, name)
        for size in (10, 40, 150, 600, 5_000, 50_000):
            (bound,) = track.surely_below(Binned(bins, "", 1), np.array([size]))
            assert bound <= calibration.threshold(size, lookback_s, step_s), (name, size)
