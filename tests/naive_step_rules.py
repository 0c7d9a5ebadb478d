"""Rules on step metrics, interpreted line by line: an oracle without columns or blocks."""

import math
import statistics


def _tree(values):
    half = len(values) // 2
    return values[0] if not half else _tree(values[:half]) + _tree(values[half:])


def _total(values):
    """Pieces of powers of two, the longest first, joined from the back."""
    length = 1 << (len(values).bit_length() - 1)
    rest = values[length:]
    return _tree(values[:length]) + _total(rest) if rest else _tree(values)


def value_of(function, values):
    """Give the value of a window, NaN where it is undefined."""
    if any(math.isnan(value) for value in values):
        return math.nan
    if function == "stddev":
        known = len(values) > 1 and not any(map(math.isinf, values))
        return statistics.stdev(values) if known else math.nan
    return {
        "avg": lambda: _total(values) / len(values),
        "sum": lambda: _total(values),
        "min": lambda: min(values),
        "max": lambda: max(values),
        "median": lambda: statistics.median(values),
        "last": lambda: values[-1],
    }[function]()


def _order(row):
    nan = math.isnan(row["value"])
    return row["received"], row["line"], row["time"], nan, 0.0 if nan else row["value"]


class Naive:
    """One rule on one job: evaluations and alerts, from everything that was there at a line."""

    def __init__(self, rule, job_id):
        self.rule, self.job_id = rule, job_id
        self.group = job_id if rule.experiment else None
        self.history = []
        self.alerts = []

    def see(self, held):
        """Look at the values in force, by step, at the line of the greatest."""
        rule = self.rule
        window = [held[step] for step in sorted(held)[-rule.steps :]]
        value = value_of(rule.function, [row["value"] for row in window])
        state = self._state(value, len(window))
        last = window[-1]
        since = None
        if state in {"firing", "suppressed"}:
            since = last["time"]
            if self.history and self.history[-1]["state"] in {"firing", "suppressed"}:
                since = self.history[-1]["since"]
        told = {
            "step": last["step"],
            "start": window[0]["time"],
            "end": last["time"],
            "value": value,
            "samples": len(window),
            "state": state,
            "since": since,
        }
        self.history.append(told)
        if state == "firing":
            after = self.alerts[-1]["place"] + 1 if self.alerts else 0
            hushed = [each for each in self.history[after:] if each["state"] == "suppressed"]
            suppressed = hushed[0]["end"] if hushed else None
            lines = min(row["seq"] for row in window), last["seq"]
            place = len(self.history) - 1
            self.alerts.append({"place": place, **told, "suppressed": suppressed, "lines": lines})

    def _state(self, value, samples):
        rule = self.rule
        if samples < (rule.steps if rule.min_steps is None else rule.min_steps):
            return "warm_up"
        if math.isnan(value):
            return "no_data"
        limit = rule.threshold
        before = self.history[-1]["state"] if self.history else "ok"
        if before in {"firing", "suppressed"} and rule.resolve_threshold is not None:
            limit = rule.resolve_threshold
        if not (value > limit if rule.bound == "upper" else value < limit):
            return "ok"
        waited = len(self.history) - self.alerts[-1]["place"] if self.alerts else None
        return "firing" if waited is None or waited >= rule.wait_steps else "suppressed"

    def evaluations(self):
        """Rows as the store has them: where something differs from the row before."""
        found, before = [], None
        for each in self.history:
            value = None if math.isnan(each["value"]) else each["value"]
            now = value, each["samples"], each["state"]
            if now != before:
                row = (each["step"], each["start"], each["end"], *now, each["since"])
                found.append((self.rule.name, self.group, *row))
            before = now
        return found

    def alert_rows(self):
        rule = self.rule
        return [
            (
                *(rule.name, self.group, each["step"], each["value"], each["samples"]),
                *(each["start"], each["end"], each["end"], each["suppressed"], *each["lines"]),
                *(rule.job or rule.experiment, rule.severity, rule.bound, rule.threshold, "new"),
            )
            for each in self.alerts
        ]


def interpreted(rules, rows):
    """Give evaluations and alerts of rules, in the order of the store's queries."""
    held, members, watchers = {}, set(), {}
    for row in rows:
        members.add((row["experiment_id"] or "", row["job_id"]))
        series = held.setdefault((row["job_id"], row["name"]), {})
        highest, before = max(series, default=-1), series.get(row["step"])
        if before is None or _order(row) > _order(before):
            series[row["step"]] = row
        for place, rule in enumerate(rules):
            mine = row["job_id"] == rule.job or (rule.experiment, row["job_id"]) in members
            if rule.enabled and mine and row["name"] == rule.step_metric and row["step"] > highest:
                watcher = watchers.setdefault((place, row["job_id"]), Naive(rule, row["job_id"]))
                watcher.see(series)
    key = _in_order
    evaluations = [row for each in watchers.values() for row in each.evaluations()]
    alerts = [row for each in watchers.values() for row in each.alert_rows()]
    return sorted(evaluations, key=key), sorted(alerts, key=key)


def _in_order(row):
    return row[0], row[1] or "", row[2]
