"""The naive twin of the answers about a job: plain Python over the distinct events."""

import hashlib
from collections import Counter, defaultdict
from fractions import Fraction

from naive import class_text, is_class, outcome, votes_of, winners
from naive_filters import features_text, matches

DAY_MS = 86_400_000


def _float(value):
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _class(value):
    return class_text(_float(value)) if value is not None and is_class(value) else None


def bucket_of(event):
    if event.get("bucket_id") is not None:
        return str(event["bucket_id"])
    text = features_text(event)
    return None if text is None else hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class NaiveJob:
    """One job: `declared` maps models to jobs, `minutes` to (minutes, {label: minutes})."""

    def __init__(self, events, job, *, declared=(), administrators=(), minutes=(), classes=()):
        self.job, self.administrators = job, administrators
        self.minutes, self.classes = dict(minutes), classes
        told = [event for event in events if event.get("type") == "model"]
        latest = {}
        for event in sorted(told, key=lambda e: (e["timestamp"], str(e.get("job_id", "")))):
            if "job_id" in event:
                latest[event["model_id"]] = str(event["job_id"])
        mapped = latest | dict(declared)
        self.own = {model for model, of in mapped.items() if of == job}
        votes = votes_of(events)
        self.rows = []
        for key, event in winners(events).items():
            if str(event.get("job_id", mapped.get(key[0]))) == job:
                self.rows.append(self._row(key, event, votes[key]))
        self.models = sorted(self._first(told).items(), key=lambda item: (item[1], item[0]))
        self.models = [model for model, _ in self.models]
        self.active, self.deployed = self._active(told)

    def _row(self, key, event, votes):
        label, time, source = outcome(event, votes, self.administrators)
        return {
            "model_id": key[0],
            "event_id": key[1],
            "time": event["timestamp"],
            "event": event,
            "votes": votes,
            "label": label,
            "label_time": time,
            "source": source,
            "bucket": bucket_of(event),
        }

    def _first(self, told):
        firsts = defaultdict(list)
        for row in self.rows:
            firsts[row["model_id"]].append(row["time"] // DAY_MS)
        for event in told:
            if str(event.get("job_id", self.job)) == self.job and (
                "job_id" in event or event["model_id"] in self.own
            ):
                firsts[event["model_id"]].append(event["timestamp"] // DAY_MS)
        return {model: min(days) for model, days in firsts.items()}

    def _active(self, told):
        last = {}
        for event in told:
            rank = (event["timestamp"], event["status"], str(event.get("job_id", "")))
            if event["model_id"] in self.models:
                last[event["model_id"]] = max(last.get(event["model_id"], rank), rank)
        if last:
            deployed = [(r[0], m) for m, r in last.items() if r[1].lower() == "deployed"]
            return max(deployed)[::-1] if deployed else (None, None)
        latest = max(((row["time"], row["model_id"]) for row in self.rows), default=(None, None))
        return latest[1], None

    # ---- selections --------------------------------------------------------------------------

    def selection(self, start=None, end=None, filters=()):
        return [
            row
            for row in self.rows
            if (start is None or row["time"] >= start)
            and (end is None or row["time"] < end)
            and all(matches(row, *each) for each in filters)
        ]

    def decided(self, rows, models=None):
        """The figures of a block over all, and over labelled events; of all models if none has."""
        pairs = [
            (row["model_id"], _class(row["label"]), _class(row["event"].get("prediction")), row)
            for row in rows
        ]
        kept = [pair for pair in pairs if pair[2] is not None]
        everything = [(m, p if y is None else y, p) for m, y, p, _ in kept]
        labelled = [(m, y, p) for m, y, p, _ in kept if y is not None]
        names = sorted({name for _, y, p in everything for name in (y, p)} - set(self.classes))
        labels = [*self.classes, *names]
        models = {row["model_id"] for row in rows} or set(models or self.models)
        return {
            "total_events": len(kept),
            "events_without_decision": len(pairs) - len(kept),
            "labelled_events": len(labelled),
            "events_per_label_source": dict(Counter(pair[3]["source"] or "none" for pair in kept)),
            **self._block(everything, labels, models),
            "labelled_metrics": self._block(labelled, labels, models),
        }

    def _block(self, pairs, labels, models):
        matrix = [[sum(y == a and p == b for _, y, p in pairs) for b in labels] for a in labels]
        each = {label: _one_versus_rest(pairs, label) for label in labels}
        hits = [(m, p) for m, y, p in pairs if y == p]
        known = {model for model in models if model in self.minutes}
        saved = None
        if known:
            saved = sum(
                Fraction(self.minutes[m][1].get(p, self.minutes[m][0] or 0))
                for m, p in hits
                if m in known
            )
        return {
            "confusion_matrix": matrix,
            "labels": labels,
            "axes": {"rows": "truth", "cols": "prediction"},
            "overall_accuracy": _mean([e.pop("accuracy") for e in each.values()]),
            "overall_f1_score": _mean([e["f1_score"] for e in each.values()]),
            "overall_recall": _mean([e["recall"] for e in each.values()]),
            "overall_precision": _mean([e["precision"] for e in each.values()]),
            "accuracy": _share(len(hits), len(pairs)),
            "metrics_per_decision": each,
            "time_saved_minutes": saved,
        }

    # ---- knowledge base ----------------------------------------------------------------------

    def base(self):
        """(row, label text at the deployment, its time) of every event that was known."""
        if self.deployed is None:
            return []
        found = []
        for row in self.rows:
            event = dict(row["event"])
            if event["timestamp"] > self.deployed:
                event.pop("label", None)
            early = [vote for vote in row["votes"] if vote[2] <= self.deployed]
            label, time, _ = outcome(event, early, self.administrators)
            if _class(label) is not None:
                found.append((row, _class(label), time))
        return found

    def counts(self):
        """Events and buckets of the knowledge base by decision."""
        events, groups = Counter(), defaultdict(lambda: defaultdict(list))
        for row, label, time in self.base():
            events[label] += 1
            if row["bucket"] is not None:
                groups[row["bucket"]][label].append(time)
        buckets = Counter(
            max(by, key=lambda label, by=by: (len(by[label]), max(by[label]), label))
            for by in groups.values()
        )
        return dict(events), dict(buckets)

    def changed(self, rows, top=10):
        inside = {id(row) for row in rows}
        found = []
        for row, label, _ in self.base():
            now = None if row["label"] is None else class_text(_float(row["label"]))
            if now != label and id(row) in inside:
                near = [v[2] for v in row["votes"] if abs(v[2] - row["time"]) <= 30 * DAY_MS]
                found.append((-max(near), row["event_id"], row["bucket"]))
        buckets = {}
        for time, _, bucket in found:
            if bucket is not None:
                buckets[bucket] = min(buckets.get(bucket, time), time)
        return {
            "total_events": len(found),
            "top_events_ids": [name for _, name, _ in sorted(found, key=lambda f: f[:2])][:top],
            "top_buckets_ids": sorted(buckets, key=lambda b: (buckets[b], b))[:top],
        }


def _share(above, below):
    return None if below == 0 else above / below


def _mean(values):
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _one_versus_rest(pairs, label):
    tp = sum(y == label == p for _, y, p in pairs)
    fp = sum(y != label == p for _, y, p in pairs)
    fn = sum(p != label == y for _, y, p in pairs)
    tn = len(pairs) - tp - fp - fn
    return {
        "precision": _share(tp, tp + fp),
        "recall": _share(tp, tp + fn),
        "f1_score": _share(2 * tp, 2 * tp + fp + fn),
        "true_positives": tp,
        "true_negatives": tn,
        "false_positives": fp,
        "false_negatives": fn,
        "accuracy": _share(tp + tn, len(pairs)),
    }
