"""The histories of a job's levels: what the normaliser gives, kept by name and stored exactly."""

import numpy as np
import pytest

from engine.anomaly.scores.levels import BUCKET, Levels, bucket_level, influencer_level
from engine.anomaly.scores.normalizer import NORMALIZERS, History

ZERO = np.zeros(1, np.int64)


@pytest.mark.parametrize("normalizer", ["standard", "elastic"])
def test_oracle_learning_then_scoring_is_what_the_normalizer_does(normalizer):
    levels, history, plain = Levels(normalizer, (BUCKET,)), History(), NORMALIZERS[normalizer]
    chance = np.random.default_rng(3)
    for bucket in range(200):
        raw = np.where(chance.random(1) < 0.05, 10 * chance.random(1), 0.0)
        history, _ = plain.update(history, bucket * 300, 300, raw, ZERO)
        score, ceiling = plain.score(history, raw, ZERO)
        looked = levels.score(BUCKET, raw, ZERO)
        scored = levels.learn(BUCKET, (bucket * 300, 300), raw, ZERO)
        assert scored.score.tolist() == score.tolist()
        assert scored.ceiling.tolist() == ceiling.tolist()
        assert len(looked.grown) == 0


def test_law_looking_learns_nothing_and_levels_know_nothing_of_each_other():
    levels = Levels("standard", (BUCKET, bucket_level("city"), influencer_level("city")))
    before = levels.to_json()
    levels.score(BUCKET, np.array([40.0]), ZERO)
    assert levels.to_json() == before
    levels.learn(BUCKET, (0, 60), np.array([40.0]), ZERO)
    assert levels.histories[bucket_level("city")].start_s is None


def test_law_histories_survive_being_stored():
    levels = Levels("elastic", (BUCKET,))
    for bucket, raw in enumerate((0.0, 1 / 3, 12.5, 0.1)):
        levels.learn(BUCKET, (bucket * 60, 60), np.array([raw]), ZERO)
    again = Levels.of_json("elastic", levels.to_json())
    assert again.to_json() == levels.to_json()
    raw = np.array([0.7])
    assert again.learn(BUCKET, (600, 60), raw, ZERO).score.tolist() == (
        levels.learn(BUCKET, (600, 60), raw, ZERO).score.tolist()
    )
