"""The naive twin of the alert rules: plain Python that reads one line after the other.

It knows nothing of panes, blocks or databases: a window is a loop over the rows whose time lies in
it, in exact fractions, and every boundary that a line passes is evaluated with the lines before it.

Metrics are dicts as in `naive_functions`; which label holds is `naive.outcome`. One partition,
lines that are all accepted, `group_by` of a feature, a prediction or a further field.
"""

import math
from collections import defaultdict, namedtuple

from naive import class_text, outcome, said
from naive_functions import PERFORMANCE, matches, measured

from engine.config import ModelSettings

DAY_US = 86_400 * 10**6
Alert = namedtuple(
    "Alert", "rule group window_start_us window_end_us value sample_count suppressed_since_us"
)
Evaluation = namedtuple("Evaluation", "rule group window_end_us value sample_count state")


def truths_in(line):
    named = {f"labels.{name}": value for name, value in (line.get("labels") or {}).items()}
    return {name: v for name, v in ({"label": line.get("label")} | named).items() if v is not None}


class Row:
    """A prediction, with the (value, time ms) of each truth that holds for it, by name."""

    def __init__(self, event, truths):
        self.event, self.truths = event, truths
        self.times_us = {None: 1000 * event["timestamp"]}  # when it counts, by the truth waited for
        for name, (_, at) in truths.items():
            self.times_us[name] = 1000 * max(event["timestamp"], at)

    def get(self, name):
        container, _, member = name.partition(".")
        if container in ("label", "labels"):
            return self.truths.get(name, (None,))[0]
        inside = container in ("features", "predictions")
        return (self.event.get(container) or {}).get(member) if inside else self.event.get(name)


class Model:
    """The rows of a model, as the lines so far make them."""

    def __init__(self, settings, administrators, horizon_us):
        self.settings, self.court = settings, (administrators, horizon_us // 1000)
        self.first_us = None  # time of the first prediction line
        self.best, self.rows, self.classes = {}, {}, set(settings.classes)
        self.votes = defaultdict(lambda: defaultdict(set))

    def take(self, line):
        key, at, truths = str(line["id"]), line["timestamp"], truths_in(line)
        if line.get("type", "prediction") == "prediction":
            self.first_us = 1000 * at if self.first_us is None else self.first_us
            rank = at, said(line)
            if key not in self.best or rank > self.best[key][0]:
                self.best[key] = rank, line
        else:
            for name, value in truths.items():
                self.votes[key][name].add((line.get("by", ""), value, at))
        shown = truths.get("label"), line.get("prediction")
        self.classes |= {class_text(value) for value in shown if value is not None}
        if key in self.best:
            self.rows[key] = self.row(self.best[key][1], self.votes[key])

    def row(self, event, votes):
        own, truths = truths_in(event), {}
        for name in own | votes:
            alone = {"timestamp": event["timestamp"], "label": own.get(name)}
            value, at, _ = outcome(alone, votes.get(name, ()), *self.court)
            truths |= {} if value is None else {name: (value, at)}
        return Row(event, truths)

    def window(self, truth, start_us, end_us):
        rows = self.rows.values()
        return [row for row in rows if start_us <= row.times_us.get(truth, -math.inf) < end_us]

    def positive(self):
        return self.settings.positive or (max(self.classes) if len(self.classes) == 2 else None)


class State:
    """What a rule remembers of one group."""

    since = raised = alerted = suppressed = last = None

    def judge(self, rule, at, value, *, warm):
        """Give the state's name; value None: no data."""
        limit = rule.resolve_threshold if self.raised else None
        limit = rule.threshold if limit is None else limit
        violating = rule.on_no_data == "alert"
        if value is not None:
            violating = value > limit if rule.bound == "upper" else value < limit
        if warm or not violating:
            self.since, self.raised = None, False
            return "warm_up" if warm else "no_data" if value is None else "ok"
        self.since = at if self.since is None else self.since
        self.raised = at - self.since >= rule.hold_us
        if self.raised and (self.alerted is None or at - self.alerted >= rule.wait_us):
            self.alerted = at
            return "firing"
        self.suppressed = at if self.suppressed is None else self.suppressed
        return "suppressed"


class Watch:
    """A rule with its metric on its model, and its states by group (None without group_by)."""

    def __init__(self, name, rule, metric, model):
        self.name, self.rule, self.metric, self.model = name, rule, metric, model
        lookback_s = rule.lookback_s or model.settings.lookback_s or 300
        self.lookback_us, self.step_us = lookback_s * 10**6, math.gcd(60, lookback_s) * 10**6
        self.truth = metric.get("truth", "label")
        performance = metric["function"] in PERFORMANCE
        if (rule.time_basis or ("label" if performance else "event")) == "event":
            self.truth = None
        self.states = {} if rule.group_by else {None: State()}

    def group(self, row):
        value = row.get(self.rule.group_by) if self.rule.group_by else None
        text = "__missing__" if value is None else class_text(value)
        full = len(self.states) >= self.rule.group_limit
        text = "__other__" if full and text not in self.states else text
        return text if self.rule.group_by else None

    def boundaries(self, before, after):
        """Give the boundaries that a line passes; none by the first line of all."""
        if before is None or self.model.first_us is None:
            return ()
        return range((before // self.step_us + 1) * self.step_us, after + 1, self.step_us)

    def covered(self, window):
        least = self.rule.min_label_coverage
        events = self.model.window(None, *window) if least > 0 else ()
        known = sum(row.get("label") is not None for row in events)
        return len(events) == 0 or known / len(events) >= least

    def evaluate(self, at):
        """Yield what a boundary gives: for each group perhaps an alert and an evaluation."""
        window = at - self.lookback_us, at
        parts = {group: [] for group in self.states}
        for row in self.model.window(self.truth, *window):
            if all(matches(row, *condition) for condition in self.metric.get("filter", ())):
                parts[self.group(row)].append(row)
        covered = self.covered(window)
        for group, state in sorted(self.states.items()):
            value, count = measured(self.metric, parts[group], self.model)
            suppressed, enough = state.suppressed, covered and count >= self.rule.min_sample_count
            judged, warm = value if enough else None, window[0] < self.model.first_us
            name = state.judge(self.rule, at, judged, warm=warm)
            value = judged if name in ("firing", "suppressed") else value
            if name == "firing":
                state.suppressed = None
                yield Alert(self.name, group, *window, value, count, suppressed)
            if (value, count, name) != state.last:
                state.last = value, count, name
                yield Evaluation(self.name, group, at, *state.last)


def interpret(
    lines, rules, models=(), *, lateness_us=10**7, horizon_us=30 * DAY_US, administrators=()
):
    """Give (alerts, evaluations) of rules, pairs (RuleSettings, metric), over decoded lines."""
    settings = {rule.model: ModelSettings(rule.model) for rule, _ in rules}
    settings |= {model.id: model for model in models}
    known = {name: Model(each, administrators, horizon_us) for name, each in settings.items()}
    watches = [
        Watch(rule.name or at, rule, metric, known[rule.model])
        for at, (rule, metric) in enumerate(rules)
        if rule.enabled
    ]
    watermark, found = None, []
    for line in lines:
        kind, before = line.get("type", "prediction"), watermark
        if kind != "reference" and "timestamp" in line:
            reached = 1000 * line["timestamp"] - lateness_us
            watermark = reached if before is None else max(before, reached)
        due = [
            (at, order)
            for order, watch in enumerate(watches)
            for at in watch.boundaries(before, watermark)
        ]
        for at, order in sorted(due):
            found += watches[order].evaluate(at)
        if kind in ("prediction", "label") and line["model_id"] in known:
            known[line["model_id"]].take(line)
            for watch in watches:
                if watch.rule.model == line["model_id"] and kind == "prediction":
                    watch.states.setdefault(watch.group(Row(line, {})), State())
    return tuple([each for each in found if isinstance(each, kind)] for kind in (Alert, Evaluation))
