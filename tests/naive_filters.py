"""The naive twin of the filters on a job's events: plain Python over one event at a time."""

import json
import re
from datetime import UTC, datetime, timedelta

from naive import class_text, number

ABSENT = object()
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
OWN = {"type", "model_id", "id", "timestamp", "prediction", "label", "score"}
OWN |= {"job_id", "batch_id", "bucket_id"}
TIMES = {
    "event_time": "time",
    "timestamp": "time",
    "@timestamp": "time",
    "label_time": "label_time",
}


def iso(ms):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


def along(value, path):
    """Every value that a dotted path leads to, whatever its dots cut; fewest keys first."""
    if not isinstance(value, dict):
        return
    if path in value:
        yield 1, path, value[path]
    for at, sign in enumerate(path):
        if sign == "." and path[:at] in value:
            for keys, name, found in along(value[path[:at]], path[at + 1 :]):
                yield keys + 1, f"{path[:at]}\0{name}", found


def property_of(event, name):
    own, _, rest = name.partition(".")
    if own in ("features", "predictions", "labels") and event.get(own, {}).get(rest) is not None:
        return event[own][rest]
    for container in ("features", "predictions", "labels"):
        found = event.get(container, {}).get(name)
        if found is not None:
            return found
    cuts = []
    for keys, path, value in along(event, name):
        places, at = [], 0
        for part in path.split("\0")[:-1]:
            at += len(part)
            places.append(at)
            at += 1
        if value is not None and not (keys == 1 and name in OWN):
            cuts.append((keys, places, value))
    return min(cuts, key=lambda cut: cut[:2])[2] if cuts else ABSENT


def value_of(row, field):
    event = row["event"]
    if field == "arcanna.consensus":
        if row["source"] in ("votes", "administrator"):
            return row["label"]
        return "Undecided" if row["source"] == "undecided" else None
    columns = {
        "model_id": row["model_id"],
        "event_id": row["event_id"],
        "id": row["event_id"],
        "prediction": event.get("prediction"),
        "arcanna.result_label": event.get("prediction"),
        "label": row["label"],
        "label_source": row["source"],
        "score": event.get("score"),
        "correct": None
        if row["label"] is None or event.get("prediction") is None
        else class_text(row["label"]) == class_text(event["prediction"]),
        "job_id": event.get("job_id"),
        "batch_id": event.get("batch_id"),
        "bucket_id": event.get("bucket_id"),
        "arcanna.bucket_id": row["bucket"],
    }
    if field in columns:
        value = columns[field]
        ids = ("job_id", "batch_id", "bucket_id", "arcanna.bucket_id")
        return str(value) if field in ids and value is not None else value
    found = property_of(event, field)
    return None if found is ABSENT else found


def _less(value, operand, sign):
    compare = {
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
    }[sign]
    if isinstance(value, bool):
        return False
    if number(value) is not None:
        if number(operand) is not None:
            return compare(float(value), float(operand))
        return bool(NUMBER.fullmatch(operand)) and compare(float(value), float(operand))
    return isinstance(operand, str) and compare(value, operand)


def _one(value, operator, operand):
    if isinstance(value, dict | list):
        return False
    if operator in ("lt", "lte", "gt", "gte"):
        return _less(value, operand, operator)
    said = class_text(_double(value))
    if operator == "is":
        return said == class_text(_double(operand))
    if operator == "is one of":
        return said in [class_text(_double(each)) for each in operand]
    text = class_text(_double(operand))
    return said.startswith(text) if operator == "starts with" else text in said


def _double(value):
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _at(text):
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)


def _instant(ms, operator, operand):
    if operator in ("starts with", "contains"):
        return _one(iso(ms), operator, operand)
    if operator == "is one of":
        return ms in [_at(each) for each in operand]
    return ms == _at(operand) if operator == "is" else _less(ms, _at(operand), operator)


def matches(row, field, operator, operand=None):
    for word, positive in (("is not", "is"), ("not ", "")):
        if operator.startswith(word):
            return not matches(row, field, positive + operator[len(word) :], operand)
    value = row[TIMES[field]] if field in TIMES else value_of(row, field)
    if operator == "exists":
        return value is not None
    if value is None:
        return False
    if field in TIMES:
        return _instant(value, operator, operand)
    if isinstance(value, list):
        return any(each is not None and _one(each, operator, operand) for each in value)
    return _one(value, operator, operand)


def features_text(event):
    """The canonical features of an event, or None without any."""
    listed = []
    for name, value in sorted(event.get("features", {}).items()):
        if isinstance(value, bool):
            listed.append([name, "b", "true" if value else "false"])
        elif isinstance(value, int | float):
            listed.append([name, "n", class_text(float(value))])
        elif value is not None:
            listed.append([name, "s", value])
    text = json.dumps(listed, ensure_ascii=False, separators=(",", ":"))
    return text if listed else None
