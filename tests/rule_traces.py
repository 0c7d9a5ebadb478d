"""Random traces of events and random alert rules over them, the same for the same seed.

A trace is what several producers give to one partition: bursts and quiet gaps, lines out of order
and too late, repeats with the same or another content, labels after seconds or an hour (or before
their prediction), several voters, corrections, values of unexpected types, a model that starts late
and one that falls silent. Three kinds of model take turns: two classes with probabilities
(``m0``, ``m3``), numbers (``m1``), and three classes (``m2``).
"""

import heapq
import random
from itertools import count
from typing import NamedTuple

from engine.config import ModelSettings, RuleSettings

START_MS = 1_700_000_000_000 // 60_000 * 60_000 + 17_000
GAP_MS = 1_200
CITIES = ("Boston", "Łódź", "O'Hare", 'New "York"', "Oslo", "x; DROP TABLE events --", "Basel")
VOTERS = ("", "", "ann", "bob", "cy", "root")
ADMINISTRATORS = ("root",)
CLASSES = (("no", "yes"), (), (1, 2, "3"))
LOOKBACKS_S = (300, 60, 30, 150, 600, 6)


def declared(models=3):
    """Give the settings of the models: those of classes name their positive class."""
    positive = ("yes", None, "3")
    return tuple(ModelSettings(f"m{at}", positive=positive[at % 3]) for at in range(models))


def trace(seed, lines=10_000, models=3):
    """Give decoded lines; the last model falls silent after six tenths of the time."""
    return _Trace(random.Random(seed), lines, models).lines()


def _wave(at_ms, minutes):
    """Go up and down between 0 and 1, so that thresholds are crossed now and then."""
    phase = (at_ms - START_MS) / (60_000 * minutes) % 2
    return phase if phase < 1 else 2 - phase


class _Trace:
    """Producers: what is to arrive when waits in a heap of (arrival ms, number, event)."""

    def __init__(self, chance, lines, models):
        self.chance, self.wanted, self.models = chance, lines, models
        self.waiting, self.number, self.ids = [], count(), count()
        self.now, self.sent = START_MS, []

    def lines(self):
        span_ms, given = self.wanted * GAP_MS // 2, []
        while len(given) < self.wanted:
            self.produce(span_ms)
            while self.waiting and self.waiting[0][0] <= self.now:
                given.append(heapq.heappop(self.waiting)[2])
        return given[: self.wanted]

    def produce(self, span_ms):
        chance = self.chance
        self.now += int(chance.expovariate(1 / GAP_MS)) + 1
        if chance.random() < 0.003:
            self.now += chance.randrange(90_000, 720_000)
            if chance.random() < 0.6:  # nothing at all comes; what was sent meanwhile comes after
                self.waiting = sorted((max(at, self.now), *what) for at, *what in self.waiting)
        done = (self.now - START_MS) / span_ms
        awake = [
            model
            for model in range(self.models)
            if not (model == self.models - 1 > 0 and done > 0.6)
            and not (model == 1 and done < 0.05)
        ]
        burst = chance.randrange(10, 40) if chance.random() < 0.004 else 1
        model = chance.choice(awake)
        for _ in range(burst):
            self.predict(model)
        if chance.random() < 0.02:
            self.aside(model)

    def at(self, arrival, event):
        heapq.heappush(self.waiting, (arrival, next(self.number), event))

    def event_time(self):
        """Give an event time: mostly just now, some out of order, few beyond the lateness."""
        kind = self.chance.random()
        if kind < 0.03:
            return self.now - self.chance.randrange(10_000, 600_000)
        if kind < 0.06:
            return self.now // 60_000 * 60_000  # exactly on a boundary
        return self.now - self.chance.randrange(4_000)

    def predict(self, model):
        chance, key = self.chance, f"e{next(self.ids)}"
        event = self.prediction(model, key, self.event_time())
        self.at(self.now, event)
        self.sent = [*self.sent[-200:], event]
        if chance.random() < 0.75:
            self.judge(model, event)
        if chance.random() < 0.03:  # at least once
            self.at(self.now + chance.randrange(1, 90_000), dict(event))
        if chance.random() < 0.03:  # another content, often at another time
            moved = event["timestamp"] + chance.choice((0, 0, -7_000, 3_000, 61_000))
            again = self.prediction(model, key, moved)
            self.at(max(self.now, moved) + chance.randrange(1, 60_000), again)

    def prediction(self, model, key, time):
        chance = self.chance
        event = {"model_id": f"m{model}", "id": key, "timestamp": time}
        if chance.random() < 0.3:
            event["type"] = "prediction"
        p = round(chance.random(), 3)
        if model % 3 == 1:
            event["prediction"] = round(chance.gauss(20, 5), 2)
        else:
            event["prediction"] = self.answer(model, p)
            event["score"] = max(p, round(1 - p, 3))
        event["predictions"] = {"p": p, "amount": round(chance.uniform(0, 100), 1)}
        event["features"] = self.features(time)
        if chance.random() < 0.2:
            event["label"] = self.truth(event, time)
        if chance.random() < 0.25:
            event["labels"] = {"amount": round(chance.uniform(0, 100), 1)}
        if chance.random() < 0.1:
            event["channel"] = chance.choice(("web", "app", 7, True))
        return event

    def answer(self, model, p):
        classes = CLASSES[model % 3]
        found = classes[min(int(p * len(classes)), len(classes) - 1)]
        # The same class, written as text.
        return str(found) if self.chance.random() < 0.1 else found

    def features(self, time):
        chance = self.chance
        age = chance.randrange(18, 60) + int(20 * _wave(time, 37)) + chance.choice((0, 0, 0.5, 0.1))
        features = {"age": age, "city": chance.choice(CITIES[: chance.randrange(1, 8)])}
        odd = chance.random()
        if odd < 0.05:
            del features["age"]
        elif odd < 0.08:
            features["age"] = chance.choice(("unknown", True, None, "40"))
        elif odd < 0.14:
            del features["city"]
        elif odd < 0.16:
            features["city"] = chance.choice((7, 7.5, False, None))
        return features

    def truth(self, event, time):
        """Give a label: right more or less often as time goes."""
        chance, model = self.chance, int(event["model_id"][1:])
        if model % 3 == 1:
            return round(event["prediction"] + chance.gauss(0, 1 + 6 * _wave(time, 50)), 2)
        if chance.random() < 0.95 - 0.5 * _wave(time, 43):
            return event["prediction"]
        return chance.choice(CLASSES[model % 3])

    def judge(self, model, event):
        """Send votes: after seconds to an hour, or shortly before a prediction that comes later."""
        chance = self.chance
        voters = chance.sample(VOTERS, 3) if chance.random() < 0.15 else [chance.choice(VOTERS[:3])]
        for voter in dict.fromkeys(voters):
            delay = int(2_000 * 1800 ** chance.random())
            self.vote(model, event, voter, self.now + delay)
            if chance.random() < 0.1:
                self.vote(model, event, voter, self.now + delay + chance.randrange(300_000))
        if chance.random() < 0.03:
            soon = self.prediction(model, f"e{next(self.ids)}", self.now + 5_000)
            self.vote(model, soon, "", self.now)
            self.at(self.now + 5_000 + chance.randrange(30_000), soon)

    def vote(self, model, event, voter, arrival):
        chance = self.chance
        label = {"type": "label", "model_id": f"m{model}", "id": event["id"]}
        label["timestamp"] = arrival - chance.choice((0, 0, 500, 3_000, 20_000))
        named, plain = chance.random() < 0.2, chance.random()
        if named:
            label["labels"] = {"amount": round(chance.uniform(0, 100), 1)}
        if not named or plain < 0.5:
            label["label"] = self.truth(event, arrival)
        if voter:
            label["by"] = voter
        self.at(arrival, label)
        if chance.random() < 0.02:
            self.at(arrival + chance.randrange(20_000), dict(label))

    def aside(self, model):
        """Send what is no prediction of the stream: it has a time all the same."""
        chance, kind = self.chance, self.chance.randrange(4)
        if kind == 0:  # rows of a reference set move no watermark
            row = self.prediction(model, f"r{next(self.ids)}", self.now + 86_400_000)
            self.at(self.now, row | {"type": "reference"})
        elif kind == 1:
            event = {"type": "metric", "job_id": "train", "name": "loss", "value": chance.random()}
            self.at(self.now, event | {"step": next(self.ids), "timestamp": self.now})
        elif kind == 2:  # a label whose prediction never comes
            self.vote(model, self.prediction(model, f"z{next(self.ids)}", self.now), "", self.now)
        elif self.sent:  # an old event once more, long after
            self.at(self.now, chance.choice(self.sent))


class RandomRule(NamedTuple):
    """A rule, its metric for `naive_functions` and the same as a query of the contract."""

    settings: RuleSettings
    metric: dict
    query: dict


# What a rule may watch: (function, its parameters in a query, low, high) between which thresholds
# are drawn; for counts and sums these are shares of what is to be expected of a window.
LABEL_P = {"ground_truth_property": "label", "predicted_property": "predictions.p"}
AMOUNTS = {"ground_truth_property": "labels.amount", "predicted_property": "predictions.amount"}
OF_ALL = (
    ("count", {}, 0.3, 1.6),
    ("count", {}, 0.3, 1.6),
    ("sum", {"property": "age"}, 0.5, 1.5),
    ("avg", {"property": "features.age"}, 40, 57),
    ("avg", {"property": "predictions.p"}, 0.45, 0.55),
    ("min", {"property": "age"}, 18, 30),
    ("max", {"property": "age"}, 60, 78),
    ("median", {"property": "age"}, 38, 60),
    ("rate", {"property": "city", "comparator": "eq", "value": "Boston"}, 0.25, 0.5),
    ("rate", {"property": "age", "comparator": "gte", "value": 50}, 0.2, 0.6),
)
OF_CLASSES = (
    ("accuracyRateMulticlass", {}, 0.55, 0.9),
    ("accuracyRate", {}, 0.6, 0.9),
    ("precision", {}, 0.5, 0.9),
    ("recall", {}, 0.5, 0.9),
    ("f1", {}, 0.5, 0.9),
    ("falsePositiveRate", {}, 0.05, 0.4),
    ("truePositiveRate", LABEL_P | {"threshold": 0.5}, 0.6, 0.95),
    ("accuracyRate", LABEL_P | {"threshold": 0.3}, 0.4, 0.8),
    ("avg", {"property": "score"}, 0.7, 0.8),
)
OF_NUMBERS = (
    ("rmse", {}, 2, 7),
    ("rmse", {"ground_truth_property": "label", "predicted_property": "prediction"}, 2, 7),
    ("rmse", AMOUNTS, 35, 46),
    ("mae", {}, 1.5, 5.5),
    ("mae", AMOUNTS, 28, 38),
    ("avg", {"property": "prediction"}, 19, 21),
)
FILTERS = (
    [("features.city", "eq", "Boston")],
    [("features.age", "gte", 30), ("features.age", "lt", 50)],
    [("features.city", "ne", "Boston")],
    [("features.city", "in", ("Boston", "Łódź", "7", "O'Hare"))],
    [("features.age", "NotNull", None), ("predictions.p", "lte", 0.75)],
)
OURS = {"ground_truth_property": "truth", "predicted_property": "predicted"}


def random_rules(seed, count, models=3):
    """Give rules with distinct names; `settings.metric` names the metric that `query` defines."""
    chance = random.Random(f"rules {seed}")
    return [_rule(chance, number, chance.randrange(models)) for number in range(count)]


def _rule(chance, number, model):
    families = OF_ALL, OF_NUMBERS if model % 3 == 1 else OF_CLASSES
    function, parameters, low, high = chance.choice(chance.choice(families))
    conditions = chance.choice(FILTERS) if chance.random() < 0.5 else []
    lookback_s = chance.choice(LOOKBACKS_S)
    if function in ("count", "sum"):  # each model has a third of the events, a filter half of them
        usual = lookback_s * 1000 / GAP_MS / (6 if conditions else 3)
        low, high = (bound * usual * (48 if function == "sum" else 1) for bound in (low, high))
    settings = _settings(chance, number, f"m{model}", lookback_s, (low, high))
    metric = {OURS.get(name, name): value for name, value in parameters.items()}
    if metric.get("property") in ("age", "city"):
        metric["property"] = f"features.{metric['property']}"
    metric |= {"function": function, "filter": conditions}
    return RandomRule(settings, metric, _query(chance, function, parameters, conditions))


def _query(chance, function, parameters, conditions):
    select = {"function": function}
    if parameters:
        select["parameters"] = dict(parameters)
    if chance.random() < 0.5:
        select["alias"] = 'the "value"'
    query = {"select": [select]}
    if conditions:
        query["filter"] = [_condition(chance, *condition) for condition in conditions]
    return query


def _condition(chance, name, comparator, value):
    bare = name.removeprefix("features.") if chance.random() < 0.5 else name
    condition = {"property": bare, "comparator": comparator}
    if comparator != "NotNull":
        condition["value"] = list(value) if comparator == "in" else value
    return condition


def _settings(chance, number, model, lookback_s, between):
    low, high = between
    bound, threshold = chance.choice(("upper", "lower")), round(chance.uniform(low, high), 3)
    easier = threshold + (high - low) * (-0.2 if bound == "upper" else 0.2)
    return RuleSettings(
        model=model,
        metric=f"metric {number}",
        bound=bound,
        threshold=threshold,
        severity=chance.choice(("warning", "critical")),
        name=f"rule {number}",
        lookback_s=None if lookback_s == 300 and chance.random() < 0.5 else lookback_s,
        wait_us=chance.choice((0, 0, 60, 300, 1800)) * 10**6,
        hold_us=chance.choice((0, 0, 0, 60, 90, 180)) * 10**6,
        time_basis=chance.choice((None, None, None, "event", "label")),
        enabled=chance.random() > 0.03,
        on_no_data=chance.choice(("ignore", "ignore", "ignore", "alert")),
        resolve_threshold=round(easier, 3) if chance.random() < 0.3 else None,
        min_sample_count=chance.choice((0, 0, 0, 2, 10)),
        min_label_coverage=chance.choice((0.0, 0.0, 0.0, 0.3, 0.6)),
        group_by="features.city" if chance.random() < 0.25 else None,
        group_limit=chance.choice((2, 3, 100)),
    )
