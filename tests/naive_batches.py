"""The naive twin of the rules of batch models: plain Python that reads one line after the other.

At every boundary that a line passes it looks at every batch that is not done, with the lines before
that line: was it declared complete, or is its latest event old enough? Then all of its rows are
measured. It knows nothing of blocks, sums or databases.
"""

import math
from collections import namedtuple

from naive import class_text
from naive_functions import PERFORMANCE, matches, measured
from naive_rules import DAY_US, Model

MINUTE_US = 60 * 10**6
COMPLETE = {"complete", "completed", "closed", "uploaded"}
Alert = namedtuple("Alert", "rule batch start_us end_us value sample_count")
Evaluation = namedtuple("Evaluation", "rule batch start_us end_us value sample_count state")


def batch_of(event):
    batch = event.get("batch_id")
    return None if batch is None else class_text(batch)


def declares(line):
    return line["status"].lower() in COMPLETE and batch_of(line) is not None


class Batches:
    """A batch model with its rules, pairs (RuleSettings, metric)."""

    def __init__(self, model, rules):
        self.model, self.rules = model, rules
        self.declared, self.done = set(), set()

    def batches(self):
        found = {batch: [] for batch in self.declared}
        for row in self.model.rows.values():
            if batch_of(row.event) is not None:
                found.setdefault(batch_of(row.event), []).append(row)
        return {batch: rows for batch, rows in found.items() if batch not in self.done}

    def evaluate(self, at_us):
        """Yield what a boundary gives."""
        wait_us = (self.model.settings.lookback_s or 300) * 10**6
        for batch, rows in self.batches().items():
            times_us = [1000 * row.event["timestamp"] for row in rows]
            if batch in self.declared or at_us >= max(times_us) + wait_us:
                self.done.add(batch)
                start_us = min(times_us, default=at_us) // 10**6 * 10**6
                for rule, metric in self.rules:
                    yield from self.judge(rule, metric, (batch, start_us, at_us), rows)

    def judge(self, rule, metric, window, rows):
        performance = metric["function"] in PERFORMANCE
        chosen = rows
        if (rule.time_basis or ("label" if performance else "event")) == "label":
            chosen = [row for row in rows if row.get(metric.get("truth", "label")) is not None]
        conditions = metric.get("filter", ())
        chosen = [row for row in chosen if all(matches(row, *each) for each in conditions)]
        value, count = measured(metric, chosen, self.model)
        known = sum(row.get("label") is not None for row in rows)
        covered = not rows or known / len(rows) >= rule.min_label_coverage
        if value is None or count < rule.min_sample_count or not covered:
            fires = rule.on_no_data == "alert"
            value, state = (None, "firing") if fires else (value, "no_data")
        else:
            beyond = value > rule.threshold if rule.bound == "upper" else value < rule.threshold
            state = "firing" if beyond else "ok"
        if state == "firing":
            yield Alert(rule.name, *window, value, count)
        yield Evaluation(rule.name, *window, value, count, state)


def interpret_batches(lines, rules, models, *, lateness_us=10**7, administrators=()):
    """Give (alerts, evaluations) of rules, pairs (RuleSettings, metric), over decoded lines."""
    known = {model.id: Model(model, administrators, 30 * DAY_US) for model in models}
    watches = {
        name: Batches(model, [pair for pair in rules if pair[0].model == name and pair[0].enabled])
        for name, model in known.items()
    }
    watermark, found = -math.inf, []
    for line in lines:
        kind, before = line.get("type", "prediction"), watermark
        if kind != "reference" and "timestamp" in line:
            watermark = max(before, 1000 * line["timestamp"] - lateness_us)
        if before > -math.inf:
            first = (before // MINUTE_US + 1) * MINUTE_US
            for at_us in range(first, watermark + 1, MINUTE_US):
                for watch in watches.values():
                    found += watch.evaluate(at_us)
        if kind in ("prediction", "label") and line["model_id"] in known:
            known[line["model_id"]].take(line)
        elif kind == "model" and line["model_id"] in watches and declares(line):
            watches[line["model_id"]].declared.add(batch_of(line))
    return tuple([each for each in found if isinstance(each, kind)] for kind in (Alert, Evaluation))
