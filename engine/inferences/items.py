"""Inferences, ground truths and reference rows as lines of events, each checked by itself.

An item becomes one line or two (an inference with its ground truth: a prediction and a label), or
a fault: what breaks a rule leaves no line, not even half of it. An id that is missing is derived
from the content, so that sending the same again does no harm; the second of two equal items in one
list gets another one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid5

import orjson

from engine.errors import QueryError
from engine.inferences.stages import Stages, split_inference, split_truth
from engine.strict import Reader
from engine.values import Fault, shown

__all__ = ["Item", "Maker", "inference_items", "nested", "reference_items", "truth_items"]

_IDS = UUID("5a3f3a6e-1b1e-4f0c-9d0b-3c2a6b9f7e11")  # never to change
_INFERENCE = (
    *("inference_timestamp", "partner_inference_id", "batch_id", "inference_data"),
    *("ground_truth_timestamp", "ground_truth_data"),
)
_TRUTH = ("partner_inference_id", "ground_truth_timestamp", "ground_truth_data")
_REFERENCE = ("partner_inference_id", "inference_timestamp", "batch_id", "ground_truth_timestamp")

Row = Mapping[str, object]
Event = dict[str, object]


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one item.

    Attributes
    ----------
    id : str or None
        Of the inference, where it is known.
    lines : tuple of bytes
        With their newlines; none where there is a fault.
    fault : str or None
    """

    id: str | None
    lines: tuple[bytes, ...] = ()
    fault: str | None = None


class Maker:
    """Makes the items of one list.

    Parameters
    ----------
    stages : Stages
        Of the model.
    reader : Reader
        The rules of events.
    received_us : int
        The clock.
    """

    def __init__(self, stages: Stages, reader: Reader, received_us: int) -> None:
        self.stages = stages
        self._reader, self._received_us = reader, received_us
        self._derived: dict[UUID, int] = {}

    def item(self, make: "Make", row: object) -> Item:
        """Make an item of a row; whatever is wrong with it is its fault."""
        given = row.get("partner_inference_id") if isinstance(row, dict) else None
        known = given if isinstance(given, str) and given else None
        try:
            known, events = make(self, _object(row))
            for event in events:
                self._check(event)
            return Item(known, tuple(orjson.dumps(event) + b"\n" for event in events))
        except Fault as fault:
            return Item(known, fault=fault.reason)
        except (QueryError, orjson.JSONEncodeError) as fault:
            return Item(known, fault=str(fault))

    def _check(self, event: Event) -> None:
        """See that an event keeps all rules; a fault of a renamed field is told by its own name."""
        try:
            self._reader.event(event, received_us=self._received_us)
        except Fault as fault:
            kind = "ground_truth" if event.get("type") == "label" else "inference"
            names = {"timestamp": f"{kind}_timestamp", "id": "partner_inference_id"}
            own = names.get(fault.field or "")
            if own is None:
                raise
            raise Fault(fault.reason.replace(f"`{fault.field}`", f"`{own}`", 1), own) from None

    def id_of(self, row: Row) -> str:
        """Give the id that an item brings, or one that is derived from its content."""
        given = row.get("partner_inference_id")
        if isinstance(given, int) and not isinstance(given, bool):
            return str(given)
        if given is not None and given != "":
            return str(given) if isinstance(given, str) else _fail("partner_inference_id", given)
        text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()
        derived = uuid5(_IDS, f"{self.stages.model_id}\0{text}")
        times = self._derived[derived] = self._derived.get(derived, -1) + 1
        return str(derived if times == 0 else uuid5(derived, str(times)))


Make = Callable[[Maker, Row], tuple[str | None, list[Event]]]


def _object(row: object) -> Row:
    if isinstance(row, dict):
        return row
    msg = f"the item must be a JSON object, got {shown(row)}"
    raise QueryError(msg)


def _fail(name: str, value: object) -> str:
    msg = f"`{name}` must be a text, got {shown(value)}"
    raise QueryError(msg)


def inference_items(maker: Maker, rows: Iterable[object]) -> Iterator[Item]:
    """Make predictions, with labels where a ground truth is given, of inferences."""
    return (maker.item(_inference, row) for row in rows)


def truth_items(maker: Maker, rows: Iterable[object]) -> Iterator[Item]:
    """Make labels of ground truths for inferences that were sent before, or will be."""
    return (maker.item(_truth, row) for row in rows)


def reference_items(maker: Maker, rows: Iterable[object]) -> Iterator[Item]:
    """Make rows of the reference set; the attributes lie in `reference_data`, or are the row."""
    return (maker.item(_reference, row) for row in rows)


def _inference(maker: Maker, row: Row) -> tuple[str | None, list[Event]]:
    _check_keys(row, _INFERENCE, ("inference_timestamp", "inference_data"))
    event_id, model_id = maker.id_of(row), maker.stages.model_id
    event = {
        "model_id": model_id,
        "id": event_id,
        "timestamp": row["inference_timestamp"],
        **_batch(row),
        **split_inference(maker.stages, _members(row, "inference_data")),
    }
    if row.get("ground_truth_data") is None:
        return event_id, [event]
    time = row.get("ground_truth_timestamp")
    time = row["inference_timestamp"] if time is None else time
    return event_id, [event, _label(maker.stages, event_id, time, row)]


def _truth(maker: Maker, row: Row) -> tuple[str | None, list[Event]]:
    _check_keys(row, _TRUTH, _TRUTH)
    event_id = maker.id_of(row)
    return event_id, [_label(maker.stages, event_id, row["ground_truth_timestamp"], row)]


def _label(stages: Stages, event_id: str, time: object, row: Row) -> Event:
    said = split_truth(stages, _members(row, "ground_truth_data"))
    if not said:
        msg = "`ground_truth_data` must have a value that is not null"
        raise QueryError(msg)
    if said.get("label") is None and "labels" not in said:
        msg = "`ground_truth_data` must tell a label"
        raise QueryError(msg)
    return {
        "type": "label",
        "model_id": stages.model_id,
        "id": event_id,
        "timestamp": time,
        **said,
    }


def _reference(maker: Maker, row: Row) -> tuple[str | None, list[Event]]:
    event_id, data = maker.id_of(row), dict(row)
    if "reference_data" in row:
        _check_keys(row, (*_REFERENCE, "reference_data"), ("reference_data",))
        data = _members(row, "reference_data")
    given = nested(maker.stages, {k: v for k, v in data.items() if k not in _REFERENCE})
    time = row.get("inference_timestamp", data.get("inference_timestamp"))
    event = {
        "type": "reference",
        "model_id": maker.stages.model_id,
        "id": event_id,
        **({} if time is None else {"timestamp": time}),
        **_batch({**data, **row}),
        **split_inference(maker.stages, _members(given, "inference_data")),
        **split_truth(maker.stages, _members(given, "ground_truth_data")),
    }
    return event_id, [event]


def nested(stages: Stages, row: Row) -> dict[str, object]:
    """Give a flat row as an inference: attributes in `inference_data` and `ground_truth_data`.

    A ground truth is what the model has had as one and as nothing else, `label`, `labels.x`, and
    what begins with `ground_truth`. A row that is nested already stays as it is.
    """
    if "inference_data" in row or "ground_truth_data" in row:
        return dict(row)
    found: dict[str, object] = {}
    data: dict[str, object] = {}
    truth: dict[str, object] = {}
    for name, value in row.items():
        if name in _INFERENCE:
            if value is not None:
                found[name] = value
        else:
            (truth if _is_truth(stages, name) else data)[name] = value
    told = {name: value for name, value in truth.items() if value is not None}
    return {
        **found,
        "inference_data": data,
        **({"ground_truth_data": told} if told else {}),
    }


def _is_truth(stages: Stages, name: str) -> bool:
    if name == "label" or name.startswith("labels."):
        return True
    if name in stages.features or name in stages.predictions or name in stages.further:
        return False
    return name in stages.truths or name.startswith("ground_truth")


# ---- shapes ------------------------------------------------------------------------------------


def _batch(row: Row) -> dict[str, object]:
    return {} if row.get("batch_id") is None else {"batch_id": row["batch_id"]}


def _members(row: Row, name: str) -> dict[str, object]:
    members = row.get(name)
    if members is None:
        return {}
    if not isinstance(members, dict):
        msg = f"`{name}` must be a JSON object, got {shown(members)}"
        raise QueryError(msg)
    return members


def _check_keys(row: Row, known: tuple[str, ...], needed: tuple[str, ...]) -> None:
    for name in row:
        if name not in known:
            msg = f"`{name}` must be one of {', '.join(known)}"
            raise QueryError(msg)
    for name in needed:
        if row.get(name) is None:
            msg = f"`{name}` is missing"
            raise QueryError(msg)
