"""The JSON of plain predictions as plain Python makes it again, for the tests of several rooms."""

import json
import math


def number(value):
    """A double as JSON has it: the shortest text, whole numbers without a fraction."""
    return int(value) if math.floor(value) == value else value


def json_of(row, names, numbers):
    """The event of a plain row: its columns by name, the names of its shape and its numbers."""
    event = {"model_id": row["model_id"], "id": row["event_id"], "timestamp": 0}
    for name in ("prediction", "label"):
        if row[name] is not None:
            value = row[f"{name}_number"]
            event[name] = row[name] if value is None else number(value)
    for name in ("score", "job_id", "batch_id", "bucket_id"):
        if row[name] is not None:
            event[name] = row[name]
    for name, value in zip(names, numbers, strict=True):
        container, dot, inner = name.partition(".")
        if value is None:
            continue
        if dot and container in ("features", "predictions", "labels"):
            event.setdefault(container, {})[inner] = number(value)
        else:
            event[name] = number(value)
    return json.dumps(event, ensure_ascii=False)


def raw_of(batch):
    """The JSON of every prediction of a batch: as it came, or made again."""
    return [
        row["raw"]
        if row["shape"] is None
        else json_of(row, batch.shapes[row["shape"]], row["numbers"])
        for row in batch.predictions.select(
            [n for n in batch.predictions.column_names if n not in batch.properties]
        ).to_pylist()
    ]
