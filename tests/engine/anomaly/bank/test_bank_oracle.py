"""The bank against a naive twin: one series in plain Python, written from the design's text.

The twin remembers every residual, feature and descriptor of the past and sorts, counts and adds
them anew in each bucket, where the bank keeps rings, ranked memories and blocks.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from engine.anomaly.bank.bank import Bank

SPAN_S = 3600
SLOTS = 12
ERRORS = ("no", "day", "fast", "now", "week")


def gain(tau, count):
    return max(1 / tau, 1 / count)


def single(value):
    """What the bank remembers of features and descriptors has 24 bits."""
    return float(np.float32(value))


def stepped(z):
    """What the bank adds up is whole, and at most 3."""
    return round(min(max(z, -3), 3) * 16384) / 16384


@dataclass
class Twin:
    counts: bool = False
    began: float | None = None
    reset: float | None = None
    fast: float = 0.0
    slow: float = 0.0
    long_mean: float = 0.0
    spread: float = 0.0
    g: list = field(default_factory=lambda: [0.0, 0.0])
    profile: list = field(default_factory=lambda: [0.0] * SLOTS)
    visits: list = field(default_factory=lambda: [0] * SLOTS)
    dispersion: list = field(default_factory=lambda: [[0.0] * SLOTS, [0.0] * SLOTS])
    days: list = field(default_factory=lambda: [[[] for _ in range(SLOTS)] for _ in range(2)])
    open_slot: int | None = None
    open_day: list = field(default_factory=lambda: [0.0, 0.0])
    week: list = field(default_factory=lambda: [0.0] * 168)
    week_visits: list = field(default_factory=lambda: [0] * 168)
    split: bool = False
    errors: dict = field(
        default_factory=lambda: dict.fromkeys(["no", "day", "fast", "now", "week"], 0.0)
    )
    tried: int = 0
    fast_rest: float = 0.0
    w: float = 0.0
    w2: float = 0.0
    accepted: set = field(default_factory=set)
    z: list = field(default_factory=list)  # (fast, slow) of every bucket
    raw: list = field(default_factory=list)
    usual_size: float = 1.0
    largest: list = field(default_factory=lambda: [[] for _ in range(9)])
    history: float = 0.0
    blocks: list = field(default_factory=list)  # descriptors, and at the end of a block its ageing
    looks: list = field(default_factory=list)
    novel: list = field(default_factory=lambda: [[] for _ in range(10)])
    xs: list = field(default_factory=list)
    run: int = 0
    same: float = 5.0
    all: float = 10.0
    bar: float = 0.0
    alerted: float = -math.inf

    def bucket(self, start, x):
        """Judge and learn a value: ln p, typical, lower, upper."""
        if math.isnan(x):
            return None
        if self.counts:
            x = math.sqrt(max(x, 0) + 0.375)
        k = len(self.xs) + 1
        if k == 1:
            self.began = self.reset = start
            self.fast = self.slow = self.long_mean = self.fast_rest = x
        days, since = (start - self.began) / 86400, (start - self.reset) / 86400
        if not self.split and days >= 1:
            seen = [j for j in range(SLOTS) if self.visits[j]]
            self.slow = sum(self.profile[j] for j in seen) / len(seen)
            for j in seen:
                self.profile[j] -= self.slow
            self.split = True
        j, h = int(start % 86400 // 7200), int(start // 3600) % 168
        tried = self.split and self.visits[j] > 0
        m = self.profile[j] if tried else 0.0
        q = self.week[h]
        season = self.w * m + self.w2 * q
        rest = x - season
        r = [rest - self.fast, rest - self.slow]
        level, typical = self.slow, self.slow + season
        sigma = [self.scale(i, j, since) for i in (0, 1)]
        self.long_mean += gain(2000, k) * (x - self.long_mean)
        self.spread += gain(2000, k) * (abs(x - self.long_mean) - self.spread)
        z = [r[i] / sigma[i] for i in (0, 1)]
        self.z.append([v if k > 20 and abs(v) > 1e-5 else 0.0 for v in z])
        features, descriptors = self.features(k, r, x)
        surprise = self.surprises(features)
        told = self.judged(surprise, descriptors, k, r, j)
        self.learn(start, (j, h), (m, q, tried), r, rest)
        self.remember(features, descriptors)
        bounds = [typical - 1.1 * sigma[1], typical + 1.1 * sigma[1]]
        look = [self.undo(v) for v in (typical, *bounds, level)] if k > 1 else [math.nan] * 4
        return told, (*look[:3], look[0] - look[3])

    def undo(self, v):
        return max(max(v, 0) ** 2 - 0.375, 0) if self.counts else v

    def scale(self, i, j, since):
        by_slot = max(self.dispersion[i][(j + d) % SLOTS] for d in (-1, 0, 1))
        if since < 1.05:
            by_slot = self.g[i] if self.reset > self.began else 0.0
        return self.g[i] + 0.85 * by_slot + 0.01 * self.spread + 1e-9 * abs(self.long_mean) + 1e-300

    def features(self, k, r, x):
        self.raw.append((r[1], abs(r[0])))
        self.run = self.run + 1 if self.xs and x == self.xs[-1] else 0
        step = x - self.xs[-1] if self.xs else 0.0
        fast, slow = self.z[-1]
        slows = [stepped(z[1]) for z in self.z]
        sizes = [stepped(abs(z[0])) for z in self.z]
        mean = {n: sum(slows[-n:]) / min(k, n) for n in (12, 24, 48)}
        features = [abs(fast), max(slow, 0), max(-slow, 0)]
        features += [abs(mean[n]) for n in (12, 24, 48)]
        size = sum(sizes[-48:]) / min(k, 48) - self.usual_size
        features.append(abs(size) / (self.usual_size + 1e-9))
        features += [abs(sum(stepped(z[0]) for z in self.z[-12:]) / min(k, 12)), self.run]
        self.usual_size += gain(1000, k) * (sizes[-1] - self.usual_size)
        raw = [sum(row[i] for row in self.raw[-12:]) / min(k, 12) for i in (0, 1)]
        signed = [r[0], r[1], raw[0], step]
        both = signed + [-v for v in signed] + [raw[1], self.run]
        return [single(v) for v in features], [single(max(v, 0)) for v in both]

    def surprises(self, features):
        told = []
        for f, (value, past) in enumerate(zip(features, self.largest, strict=True)):
            n = self.history / 2 if 3 <= f < 8 and self.history >= 768 else self.history
            top = sorted(past, reverse=True)[:32]
            rank = sum(v >= value for v in top)
            empirical = math.log10((n + 1) / (rank + 0.5))
            if self.history < 30 or value == 0:
                told.append(0.0)
            elif len(top) < 32:
                told.append(empirical if rank < min(32, n) else 0.0)
            elif value <= top[31]:
                told.append(max(math.log10((n + 1) / 32.5), 0) * value / top[31])
            else:
                pareto = empirical
                if value > top[11]:
                    pareto = math.log10((n + 1) / 12) + math.log10(value / top[11]) / 0.3
                limit = empirical + math.log10(5)
                if value > top[0]:
                    limit += math.log10(value / top[0]) / 0.6
                told.append(max(min(pareto, limit), 0))
        power = -math.log10(min(max(self.same / self.all, 1e-3), 0.999))
        told[8] = min(told[8], self.run * power, 9) if self.run >= 6 and self.all > 10 else 0.0
        return told

    def judged(self, surprise, descriptors, k, r, j):
        length = 0.25 * (math.log10(k) - 3)
        joint = self.power_mean(surprise)
        if joint > 1 + min(length, 0):
            for i, usual in enumerate(self.usual(j)):
                if abs(r[i]) <= 1.7 * usual:
                    for f in ((0,), (1, 2))[i]:
                        surprise[f] = 0.0
            counts = [
                sum(v >= single(single(0.8) * value) for v in past)
                for value, past in zip(descriptors, self.novel, strict=True)
                if value > 0
            ]
            joint = max(self.power_mean(surprise) - 0.5 * math.log10(1 + min([*counts, 24])), 0)
        rested = k - self.alerted > min(max(0.045 * (k - 1), 40), 600)
        bar = 0.0 if rested else 1.4 * self.bar
        if rested:
            self.bar = 0.0
        if joint > max(bar, 1):
            self.bar, self.alerted = joint, k
        return -1.25 * math.log(10) * max(joint - length, 0) if joint > bar else 0.0

    def power_mean(self, surprise):
        weights = (1, 1, 1, 2, 2, 2, 2, 1, 0.7)
        total = sum(w * min(s, 12) ** 5 for w, s in zip(weights, surprise, strict=True))
        return (total / 9) ** 0.2

    def usual(self, j):
        """The median over three days of the largest residual around this time of day."""
        for i in (0, 1):
            largest = [0.0, 0.0, 0.0]
            for d in (-2, -1, 0, 1, 2):
                slot = (j + d) % SLOTS
                past = list(self.days[i][slot])
                if slot == self.open_slot and slot != j:
                    past.append(self.open_day[i])
                past = [*reversed(past), 0.0, 0.0, 0.0][:3]
                if d < 0:  # today's is left out, and the day before yesterday stands twice
                    past = [past[1], past[2], past[2]]
                largest = [max(a, b) for a, b in zip(largest, past, strict=True)]
            yield sorted(largest)[1]

    def learn(self, start, place, parts, r, rest):
        (j, h), (m, q, _), k = place, parts, len(self.xs) + 1
        x = rest + self.w * m + self.w2 * q
        days, since = (start - self.began) / 86400, (start - self.reset) / 86400
        for i in (0, 1):
            self.g[i] += gain(500, k) * (abs(r[i]) - self.g[i])
        if j != self.open_slot:
            if self.open_slot is not None:
                self.close_slot(since)
            self.open_slot, self.open_day = j, [0.0, 0.0]
        self.open_day = [max(a, abs(b)) for a, b in zip(self.open_day, r, strict=True)]
        accepted = self.weigh(start, x, days, parts, h)
        self.visits[j] += 1
        move = (x - self.slow - self.w2 * q if self.split else x) - self.profile[j]
        cap = 8 * self.g[1]
        if self.split and k > 50:
            move = min(max(move, -cap), cap)
        own = 1 / self.visits[j]
        rate = max(0.12 / max(1, self.visits[j] / (days + 1)), own) if self.split else own
        self.profile[j] += rate * move
        if days > 1.5:
            self.week_visits[h] += 1
            move = min(max(x - self.slow - self.w * m - q, -cap), cap)
            per_week = max(1, self.week_visits[h] / (days / 7 + 1))
            self.week[h] = q + max(0.3 / per_week, 1 / (self.week_visits[h] + 1)) * move
        self.fast += gain(3, k) * (rest - self.fast)
        self.slow += gain(400, k) * (x - self.w * m - self.w2 * q - self.slow)
        if self.run == 0 and k > 1:
            decay = (1 - 1 / 2000) ** (self.ended + 1)
            self.same = self.same * decay + self.ended
            self.all = self.all * decay + self.ended + 1
        self.ended = self.run
        self.xs.append(x)
        if accepted:
            self.history *= 0.2
            for f in range(9):
                top = sorted(self.largest[f], reverse=True)[:32]
                self.largest[f] = top[32 - 6 :]

    ended = 0

    def close_slot(self, since):
        for i in (0, 1):
            rate = max(0.12, 1 / (1 + since))
            held = self.dispersion[i][self.open_slot]
            self.dispersion[i][self.open_slot] += rate * (self.open_day[i] - held)
            self.days[i][self.open_slot].append(self.open_day[i])

    def weigh(self, start, x, days, parts, h):
        m, q, tried = parts
        errors, cap = self.errors, [6 * g for g in self.g]
        base = x - self.slow

        def follow(name, error, rate, i):
            errors[name] += rate * (min(abs(error), cap[i]) - errors[name])

        def weight(with_it, without):
            return min(max((1 - errors[with_it] / errors[without] - 0.2) / 0.3, 0), 1)

        if tried:
            self.tried += 1
            rate = gain(500, self.tried)
            rest = x - self.w2 * q - m
            follow("no", base - self.w2 * q, rate, 1)
            follow("day", base - self.w2 * q - m, rate, 1)
            follow("fast", rest - self.fast_rest, rate, 0)
            self.fast_rest += (rest - self.fast_rest) / 3
            if days > 1.5:
                self.w = weight("day", "no")
        if self.week_visits[h] and days > 7:
            follow("now", base - self.w * m, 1 / 500, 1)
            follow("week", base - self.w * m - q, 1 / 500, 1)
            if days > 8.5:
                self.w2 = weight("week", "now")
        accepted = False
        if "day" not in self.accepted and self.w > 0.5 and days > 1.9:
            self.accepted.add("day")
            self.g = [min(self.g[0], errors["fast"]), errors["day"]]
            self.dispersion = [[0.0] * SLOTS, [0.0] * SLOTS]
            self.reset, accepted = start, True
        if "week" not in self.accepted and self.w2 > 0.5:
            self.accepted.add("week")
            ratio = (0.7, errors["week"] / errors["now"])
            self.dispersion = [[d * ratio[i] for d in self.dispersion[i]] for i in (0, 1)]
            self.g[1], accepted = errors["week"], True
        return accepted

    def remember(self, features, descriptors):
        early = self.history < 32 * 24
        self.history = min(self.history + 1, 20000)
        self.blocks.append(descriptors)
        self.looks.append(features)
        ends = len(self.blocks) == 24
        for f in range(9):
            value = features[f] if early else max(look[f] for look in self.looks)
            if value > 0 and (early or ends):
                self.largest[f].append(value)
        if ends:
            self.looks = []
            for d in range(10):
                aged = [single(v * single(0.9995)) for v in self.novel[d]]
                self.novel[d] = sorted([*aged, max(row[d] for row in self.blocks)])[-24:]
            self.blocks = []


def noise(rng, hours):
    return 10 + rng.standard_normal(hours.size) * (1 + 9 * (rng.random(hours.size) < 0.01))


def daily(rng, hours):
    shape = 100 + 30 * np.sin(hours / 24 * 2 * np.pi) + rng.standard_normal(hours.size)
    return shape + 40 * (hours == 300) + 12 * (hours > 420)


def weekly(rng, hours):
    working = (hours // 24 % 7 < 5) & (hours % 24 > 7)
    return 20 + 80 * working + 3 * rng.standard_normal(hours.size) - 60 * (hours == 500)


def gappy(rng, hours):
    values = 5 + rng.standard_t(3, hours.size)
    values[(rng.random(hours.size) < 0.2) | (hours // 24 % 9 == 4)] = np.nan
    return values


def stuck(rng, hours):
    values = rng.gamma(2.0, 3.0, hours.size)
    values[rng.random(hours.size) < 0.1] = 1.0
    values[(hours > 350) & (hours < 380)] = 2.5
    return values


def walk(rng, hours):
    return 1e6 + np.cumsum(rng.standard_normal(hours.size))


KINDS = (noise, daily, weekly, gappy, stuck, walk)


@pytest.mark.parametrize("kind", KINDS)
def test_oracle_bank_is_the_naive_series(kind):
    hours = np.arange(900)
    values = kind(np.random.default_rng(7), hours)
    compared = judged_both(hours * SPAN_S, values, counts=False)
    assert compared > 50


def test_oracle_bank_models_roots_of_counts():
    rng, hours = np.random.default_rng(8), np.arange(900)
    rate = 20 + 15 * np.sin(hours / 24 * 2 * np.pi)
    values = rng.poisson(rate) * (hours % 200 != 150)
    assert judged_both(hours * SPAN_S, values.astype(float), counts=True) > 50


def judged_both(starts, values, *, counts):
    """Compare bucket by bucket; give how many were unusual to any degree."""
    bank, twin, unusual = Bank(SPAN_S), Twin(counts=counts), 0
    bank.add(1, counts=counts, side=0)
    for start, value in zip(starts.tolist(), values.tolist(), strict=True):
        found, told = bank.evaluate(start, np.array([value])), twin.bucket(start, value)
        bank.learn(found)
        if told is None:
            assert found.ln_p[0] == 0.0
            continue
        assert found.ln_p[0] == pytest.approx(told[0], rel=1e-3, abs=1e-3), start
        look = found.outlook
        got = [look.typical[0], look.lower[0], look.upper[0], look.season[0]]
        assert got == pytest.approx(told[1], rel=1e-5, abs=1e-5, nan_ok=True), start
        unusual += told[0] < 0
    return unusual
