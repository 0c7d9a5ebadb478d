"""The naive twin of pairing and counting: plain Python over the distinct events.

It reads all events at once, keeps no state and no panes, and follows the rules to the letter; the
engine must give the same relations whatever the order of the lines, the repeats and the cuts.
"""

import json
from collections import Counter, defaultdict

HORIZON_MS = 30 * 86_400_000
NAMING = ("type", "model_id", "id", "timestamp")
IDS = ("job_id", "batch_id", "bucket_id")
MAY_BE_SILENT = (*IDS, "prediction", "label", "score", "features", "predictions", "labels")


def canonical(event):
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def said(event):
    """What a prediction says, as text: of one id and instant the greatest of these counts.

    What names it is left out, as ties have it in common, and so are known fields that say nothing.
    """
    told = {}
    for name, value in event.items():
        if name in NAMING or (name in MAY_BE_SILENT and value in (None, {})):
            continue
        told[name] = str(value) if name in IDS else value
    return canonical(json.loads(json.dumps(told), parse_int=_double, parse_float=_double))


def _double(text):
    return float(text) + 0.0  # 0 for -0


def class_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return value if isinstance(value, str) else repr(value)


def number(value):
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def is_class(value):
    return number(value) is None or float(value).is_integer()


def winners(events):
    best = {}
    for event in events:
        if event.get("type", "prediction") != "prediction":
            continue
        key = event["model_id"], str(event["id"])
        rank = event["timestamp"], said(event)
        if key not in best or rank > best[key][0]:
            best[key] = (rank, event)
    return {key: event for key, (_, event) in best.items()}


def outcome(event, votes, administrators=(), horizon_ms=HORIZON_MS):
    """The (label, time, source) that holds for a prediction."""
    last = {}
    for voter, label, time in votes:
        if abs(time - event["timestamp"]) > horizon_ms:
            continue
        rank = (time, class_text(label))
        if voter not in last or rank > last[voter][0]:
            last[voter] = (rank, label)
    standing = sorted((time, voter, text, raw) for voter, ((time, text), raw) in last.items())
    if not standing:
        label = event.get("label")
        return (None, None, None) if label is None else (label, event["timestamp"], "prediction")
    history = [
        _decided([vote[1:3] for vote in standing[:count]], administrators)
        for count in range(1, len(standing) + 1)
    ]
    text, source = history[-1]
    if text is None:
        return None, None, "undecided"
    first = len(history)
    while first > 0 and history[first - 1][0] == text:
        first -= 1
    raws = [raw for _, _, each, raw in standing if each == text]
    raw = next((raw for raw in raws if number(raw) is not None), raws[0])
    return raw, standing[first][0], source


def _decided(votes, administrators):
    overriding = [text for voter, text in votes if voter in administrators]
    if overriding:
        return overriding[-1], "administrator"
    text, count = Counter(text for _, text in votes).most_common(1)[0]
    return (text, "votes") if 2 * count > len(votes) else (None, "undecided")


def votes_of(events):
    votes = defaultdict(dict)
    for event in events:
        if event.get("type") == "label" and "label" in event:
            vote = event.get("by", ""), event["label"], event["timestamp"]
            # Told apart by their JSON: to Python 1 and True are the same.
            votes[event["model_id"], str(event["id"])][canonical(vote)] = vote
    return defaultdict(list, {key: list(each.values()) for key, each in votes.items()})


def events_relation(events, administrators=()):
    """Rows (model_id, event_id, time ms, prediction, label, label time ms, source), sorted."""
    votes = votes_of(events)
    rows = []
    for key, event in winners(events).items():
        label, time, source = outcome(event, votes[key], administrators)
        prediction = event.get("prediction")
        rows.append(
            (
                *key,
                event["timestamp"],
                None if prediction is None else class_text(prediction),
                None if label is None else class_text(label),
                time,
                source,
            )
        )
    return sorted(rows, key=repr)


def labelled(events, administrators=()):
    """Each labelled event: model, event time ms, label pane time ms, label, prediction, event."""
    votes = votes_of(events)
    for key, event in winners(events).items():
        label, time, _ = outcome(event, votes[key], administrators)
        if label is not None:
            late = max(event["timestamp"], time)
            yield key[0], event["timestamp"], late, label, event.get("prediction"), event


def confusion(events, administrators=()):
    """Counts by (model, basis, pane start s, label, prediction)."""
    counts = Counter()
    for model, time, late, label, prediction, _ in labelled(events, administrators):
        if prediction is None or not is_class(label) or not is_class(prediction):
            continue
        for basis, at in (("event", time), ("label", late)):
            pane = at // 60_000 * 60
            counts[model, basis, pane, class_text(label), class_text(prediction)] += 1
    return dict(counts)


def values(events):
    """Lists of numbers by (model, pane start s, property)."""
    panes = defaultdict(list)
    for (model, _), event in winners(events).items():
        pane = event["timestamp"] // 60_000 * 60
        for name, value in (("prediction", event.get("prediction")), ("score", event.get("score"))):
            if number(value) is not None:
                panes[model, pane, name].append(float(value))
        for member in ("features", "predictions", "labels"):
            for name, value in event.get(member, {}).items():
                if number(value) is not None:
                    panes[model, pane, f"{member}.{name}"].append(float(value))
    return dict(panes)
