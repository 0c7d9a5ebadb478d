"""Influencers by leaving each entity out, against a naive twin over a made-up model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.anomaly.influence.entities import Entities
from engine.anomaly.influence.influencing import joined, left_out, of_names
from engine.anomaly.influence.shares import Shares
from engine.anomaly.scores.verdict import Picked
from engine.anomaly.values import Judgement, Keys


class Distance:
    """A model for which ln p is minus the distance from 10."""

    def without(self, _judgement, _places, values):
        return np.where(np.isnan(values), 0.0, -np.abs(values - 10.0))


def judged(values):
    size = len(values)
    actual = np.asarray(values, float)
    ln_p = -np.abs(actual - 10.0)
    flat = np.zeros(size)
    return Judgement(
        *(np.arange(size), ln_p, ln_p, ln_p, actual, np.full(size, 10.0), flat, flat, flat),
        *(np.zeros(size, np.int64), np.zeros(size, bool)),
    )


def everything(judgement):
    size = len(judgement.series)
    return Picked(judgement.series, np.zeros(size, np.int64), np.arange(size), judgement.ln_p)


def leaving_of(parts):
    """`parts` by series: entity code to what its rows bring."""

    def leaving(series):
        rows = [
            (place, code, sum(parts[number].values()) - brought)
            for place, number in enumerate(series.tolist())
            for code, brought in sorted(parts[number].items())
        ]
        place, code, value = zip(*rows, strict=True) if rows else ((), (), ())
        return np.array(place, np.int64), np.array(code, np.int64), np.array(value, float)

    return leaving


_parts = st.lists(
    st.dictionaries(st.integers(0, 4), st.integers(0, 40), min_size=1), min_size=1, max_size=4
)
_shares = st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 4)), st.floats(0.02, 0.2))


@given(_parts, _shares)
def test_oracle_each_entity_is_taken_out_and_its_usual_part_put_in(parts, shares):
    judgement = judged([sum(each.values()) for each in parts])
    usual = Shares(100)
    for (series, entity), share in sorted(shares.items()):
        known = usual.expected(np.array([series]))[1]
        if series < len(parts) and not len(known):
            usual.learn(
                *(np.array([series]), np.array([entity]), np.array([share * 100.0])),
                *(np.array([series]), np.array([100.0])),
            )
    told = {}
    for series in range(len(parts)):
        _, entity, share = usual.expected(np.array([series]))
        told[series] = dict(zip(entity.tolist(), share.tolist(), strict=True))
    found = left_out(everything(judgement), 0, (judgement, Distance()), leaving_of(parts), usual)
    naive = {}
    for series, own in enumerate(parts):
        total = sum(own.values())
        ln_p = -abs(total - 10.0)
        for entity in {*own, *told[series]}:
            value = total - own.get(entity, 0) + 10.0 * told[series].get(entity, 0.0)
            share = 1.0 - -abs(value - 10.0) / ln_p if ln_p < 0 else 0.0
            if share >= 0.4:
                naive[series, entity] = min(share, 1.0)
    pairs = zip(found.record.tolist(), found.entity.tolist(), strict=True)
    got = dict(zip(pairs, found.share.tolist(), strict=True))
    assert got == pytest.approx(naive)


def test_golden_an_entity_that_fell_silent_is_found():
    judgement = judged([4.0])
    usual = Shares(10)
    usual.learn(*(np.array(x) for x in ([0], [7], [60.0], [0], [100.0])))
    found = left_out(everything(judgement), 0, (judgement, Distance()), leaving_of([{1: 4}]), usual)
    assert found.record.tolist() == [0]
    assert found.entity.tolist() == [7]
    assert found.share.tolist() == [1.0]


def test_golden_an_entity_that_splits_the_detector_owns_its_series():
    entities = Entities(10)
    entities.admit(["Oslo", "Rome"])
    names = np.array(["Rome", None, "Oslo", "Bonn"], object)
    keys = Keys(names, names, names)
    picked = Picked(*(np.arange(4) for _ in range(3)), np.full(4, -9.0))
    found = of_names(picked, keys, "partition", Entities(0))
    assert len(found.entity) == 0
    found = of_names(picked, keys, "by", entities)
    assert found.record.tolist() == [0, 2, 3]
    assert [["Oslo", "Rome", "Bonn"][code] for code in found.entity] == ["Rome", "Oslo", "Bonn"]
    assert found.share.tolist() == [1.0, 1.0, 1.0]
    assert len(joined([]).record) == 0
    assert joined([found, found]).record.tolist() == [0, 2, 3, 0, 2, 3]
