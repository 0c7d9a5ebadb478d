"""What the bank says of known cases, of hostile columns, and what it costs in memory."""

import math

import numpy as np
import pytest

from engine.anomaly.bank.bank import Bank
from engine.anomaly.bank.tuning import FEATURES
from engine.anomaly.scores.raw_score import LEAST_P

HOUR = 3600
LN_05 = math.log(0.05)


def advance(bank, start, values):
    found = bank.evaluate(start, np.asarray(values, float))
    bank.learn(found)
    return found


def bank_of(values, *, counts=False, side=0):
    """A bank of one series that has seen hourly values."""
    bank = Bank(HOUR)
    bank.add(1, counts=counts, side=side)
    for hour, value in enumerate(values):
        advance(bank, hour * HOUR, [value])
    return bank


def hostile():
    rng = np.random.default_rng(1)
    hours = 300
    return {
        "zero": np.zeros(hours),
        "minus zero": np.full(hours, -0.0),
        "constant": np.full(hours, 7.3),
        "constant 1e300": np.full(hours, 1e300),
        "1e300 of both signs": np.where(rng.random(hours) < 0.5, -1e300, 1e300),
        "huge once": np.where(np.arange(hours) == 200, 1.7e308, rng.random(hours)),
        "infinite": np.where(np.arange(hours) % 50 == 9, np.inf, -np.inf),
        "tiny": rng.random(hours) * 1e-300,
        "tiny then huge": np.where(np.arange(hours) < 150, 1e-300, 1e300),
        "offset": 1e9 + rng.standard_normal(hours),
        "huge counts": rng.poisson(1e9, hours) * 1e9,
        "missing": np.full(hours, np.nan),
        "missing at first": np.where(np.arange(hours) < 250, np.nan, 1.0),
        "one": np.where(np.arange(hours) == 100, 1.0, np.nan),
        "alternating": np.arange(hours) % 2.0,
        "denormal": np.full(hours, 5e-324),
    }


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("side", [-1, 0, 1])
def test_law_hostile_columns_stay_finite(counts, side):
    columns = np.stack(list(hostile().values()), axis=1)
    bank = Bank(HOUR)
    bank.add(columns.shape[1], counts=counts, side=side)
    for hour, row in enumerate(columns):
        found = advance(bank, hour * HOUR, row)
        assert (found.probabilities <= 0.0).all()
        assert (found.probabilities >= math.log(LEAST_P)).all()
        assert (found.ln_p[np.isnan(row)] == 0.0).all()
    seen = ~np.isnan(columns).all(axis=0)
    for outlook in (found.outlook, bank.expected(400 * HOUR)):
        for told in (outlook.typical, outlook.lower, outlook.upper, outlook.season):
            assert (np.isfinite(told) == seen).all()
        assert (outlook.lower[seen] <= outlook.typical[seen]).all()
        assert (outlook.typical[seen] <= outlook.upper[seen]).all()
    for array in bank.to_arrays().values():
        assert np.isfinite(array).all()


@pytest.mark.parametrize("name", ["zero", "minus zero", "constant", "constant 1e300", "denormal"])
def test_law_what_never_changes_is_never_unusual(name):
    bank = Bank(HOUR)
    bank.add(1, counts=False, side=0)
    said = [advance(bank, hour * HOUR, [x]).ln_p[0] for hour, x in enumerate(hostile()[name])]
    assert min(said) > LN_05


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**40])
def test_law_the_unit_does_not_matter(unit):
    """A power of two, so that digits stay; what is not whole in either unit."""
    values = np.random.default_rng(2).standard_normal(400) + 10.3
    values[300:310] += 25
    ln_p = []
    for factor in (1.0, unit):
        bank = Bank(HOUR)
        bank.add(1, counts=False, side=0)
        ln_p.append([advance(bank, h * HOUR, [x * factor]).ln_p[0] for h, x in enumerate(values)])
    assert ln_p[0] == pytest.approx(ln_p[1], rel=1e-6, abs=1e-9)
    assert min(ln_p[0]) < math.log(1e-4)


def test_golden_a_spike_beyond_all_is_below_1e_300():
    rng = np.random.default_rng(3)
    bank = bank_of(10.3 + rng.standard_normal(500))
    ln_p = [
        bank.evaluate(500 * HOUR, np.array([x])).ln_p[0] for x in (16.0, 30.5, 1e3, 1e100, 1e300)
    ]
    assert ln_p == sorted(ln_p, reverse=True)
    assert ln_p[1] < math.log(1e-4)
    assert ln_p[-1] == math.log(LEAST_P)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda hour: 9.0 * (hour == 420), {"spike", "high"}),
        (lambda hour: -9.0 * (hour == 420), {"spike", "low"}),
        (
            lambda hour: 2.2 * (hour >= 416),
            {"mean of 12 buckets", "rise or fall within 12 buckets"},
        ),
    ],
    ids=["spike", "dip", "level"],
)
def test_golden_the_feature_that_rules(change, names):
    rng, hours = np.random.default_rng(4), np.arange(430)
    values = 20.3 + rng.standard_normal(hours.size) + [change(hour) for hour in hours]
    bank = Bank(HOUR)
    bank.add(1, counts=False, side=0)
    found = [
        advance(bank, hour * HOUR, [x]) for hour, x in zip(hours.tolist(), values, strict=True)
    ]
    least = min(found[416:], key=lambda each: each.ln_p[0])
    assert least.ln_p[0] < LN_05
    assert FEATURES[least.dominant_at(np.array([0]))[0]] in names


def test_law_the_lesser_probability_is_close_to_the_joint():
    rng, hours = np.random.default_rng(5), np.arange(600)
    values = 20.3 + rng.standard_normal(hours.size) * (1 + (hours > 400)) + 5 * (hours > 500)
    bank = Bank(HOUR)
    bank.add(1, counts=False, side=0)
    unusual = 0
    for hour in hours.tolist():
        found = advance(bank, hour * HOUR, [values[hour]])
        if found.ln_p[0] < LN_05:
            least = min(found.ln_p_single[0], found.ln_p_multi[0])
            assert found.ln_p[0] <= least <= 0.7 * found.ln_p[0]
            unusual += 1
    assert unusual > 5


def test_golden_both_seasons_are_found():
    rng, hours = np.random.default_rng(6), np.arange(24 * 35)
    weekend = hours // 24 % 7 >= 5
    values = 100.5 + 30 * np.sin(hours / 24 * 2 * np.pi) - 60 * weekend
    bank = bank_of(values + rng.standard_normal(hours.size))
    ahead = np.arange(24 * 35, 24 * 42)
    truth = 100.5 + 30 * np.sin(ahead / 24 * 2 * np.pi) - 60 * (ahead // 24 % 7 >= 5)
    typical = [bank.expected(hour * HOUR).typical[0] for hour in ahead.tolist()]
    assert np.abs(typical - truth).mean() < 6.0
    season = [bank.expected(hour * HOUR).season[0] for hour in ahead.tolist()]
    assert max(season) - min(season) > 80.0


def test_law_the_band_widens_with_the_time_ahead():
    bank = bank_of(10.3 + np.random.default_rng(7).standard_normal(500))
    now = bank.evaluate(500 * HOUR, np.array([np.nan])).outlook
    width = [
        (look.upper - look.lower)[0]
        for look in (now, *(bank.expected(hour * HOUR) for hour in (500, 596, 884, 5012)))
    ]
    assert width[0] == width[1]
    assert width == sorted(width)
    assert width[4] == pytest.approx(width[0] * math.sqrt(1 + 4512 / 400))


def test_law_the_band_holds_most_values():
    rng, hours = np.random.default_rng(8), np.arange(24 * 30)
    sine = np.sin(hours / 24 * 2 * np.pi)
    inside = []
    for values, counts in (
        (10.3 + rng.standard_normal(hours.size), False),
        (100.3 + 30 * sine + 5 * rng.standard_normal(hours.size), False),
        (rng.poisson(30 + 20 * sine).astype(float), True),
    ):
        bank = Bank(HOUR)
        bank.add(1, counts=counts, side=0)
        for hour, x in enumerate(values):
            look = advance(bank, hour * HOUR, [x]).outlook
            if hour > 300:
                inside.append(look.lower[0] <= x <= look.upper[0])
    assert 0.88 < np.mean(inside) < 0.99


@pytest.mark.parametrize("fraction_at", [3, 29, 30])
def test_law_a_fraction_ends_the_trial_of_whole_numbers(fraction_at):
    """Until the 30th value whole numbers may turn out to be none; then the series starts anew."""
    rng = np.random.default_rng(9)
    values = rng.poisson(40, 200).astype(float)
    values[fraction_at] += 0.5
    tried, counts, plain = bank_of(values), bank_of(values, counts=True), Bank(HOUR)
    plain.add(1, counts=False, side=0)
    for hour in range(fraction_at, values.size):
        advance(plain, hour * HOUR, [values[hour]])
    like, unlike = (plain, counts) if fraction_at < 30 else (counts, plain)
    ask = (200 * HOUR, np.array([90.0]))
    assert tried.evaluate(*ask).ln_p[0] == like.evaluate(*ask).ln_p[0]
    assert tried.evaluate(*ask).ln_p[0] != unlike.evaluate(*ask).ln_p[0]


def test_law_below_zero_is_seen_after_whole_numbers():
    bank = bank_of(np.random.default_rng(10).poisson(40, 100).astype(float))
    ln_p = [bank.evaluate(100 * HOUR, np.array([x])).ln_p[0] for x in (0.0, -40.0, -1000.0)]
    assert ln_p[0] > ln_p[1] > ln_p[2]


def test_law_state_is_at_most_9_kb_a_series():
    bank = Bank(300)  # as many slots as there can be
    bank.add(1000, counts=False, side=0)
    assert bank.nbytes <= 9000 * 1000
    assert bank.nbytes == sum(array.nbytes for array in bank.to_arrays().values())
