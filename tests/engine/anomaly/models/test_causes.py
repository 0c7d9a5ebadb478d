"""Causes of population records: against plain sorting, ten at most, each of the same entity."""

import numpy as np
import pytest

from engine.anomaly.models.causes import MOST_CAUSES, causes_of
from engine.anomaly.values import Judgement, Keys


def _judgement(keys: Keys, ln_p: np.ndarray) -> Judgement:
    size = len(keys)
    zeros = np.zeros(size)
    return Judgement(
        np.arange(size),
        ln_p,
        ln_p,
        zeros,
        zeros,
        zeros,
        zeros,
        zeros,
        zeros,
        np.zeros(size, np.int64),
        np.zeros(size, np.bool_),
    )


@pytest.mark.parametrize("most", [MOST_CAUSES, 3])
def test_contract_ELi_07_causes_are_the_unusual_by_values_of_the_entity(most):
    rng = np.random.default_rng(1)
    triples = [(f"b{b}", f"o{o}", p) for b in range(20) for o in range(3) for p in "pq"]
    columns = np.empty((3, len(triples)), np.object_)
    for place, triple in enumerate(triples):
        columns[:, place] = triple
    keys = Keys(*columns)
    ln_p = np.round(np.log(rng.random(len(triples)) ** 3), 1)
    told = _judgement(keys, ln_p)
    places = np.array([5, 17, 5, 60])
    found = causes_of(keys, told, places, most)
    for place, causes in zip(places, found, strict=True):
        same = [
            other
            for other, triple in enumerate(triples)
            if triple[1:] == triples[place][1:] and ln_p[other] < np.log(0.05)
        ]
        expected = sorted(same, key=lambda other: (ln_p[other], other))[:most]
        assert causes.tolist() == expected
        assert len(expected) == min(most, len(same)) > 1
    assert MOST_CAUSES == 10


def test_law_a_record_that_is_usual_by_itself_is_its_own_cause():
    names = np.array(["a", "b"], np.object_)
    keys = Keys(names, names, np.array([None, None], np.object_))
    found = causes_of(keys, _judgement(keys, np.array([-1.0, -9.0])), np.array([0, 1]))
    assert [each.tolist() for each in found] == [[0], [1]]
