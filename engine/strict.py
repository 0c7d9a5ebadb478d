"""One line at a time, exactly: the event it holds, or what is wrong with it.

The rules are here; `engine.columns` reads by column only what cannot break any of them. An absent
field and a null are the same. Checks run in this order: JSON (repeated keys, depth, numbers, text),
type, then the fields of the type in the order of the table in the README.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from engine.instants import iso_us, milliseconds_us
from engine.schema import AMOUNTS, CONTAINERS, KNOWN
from engine.values import (
    MAX_NAME,
    Fault,
    Refused,
    class_of,
    fail,
    identifier,
    numeric,
    shown,
    text_of,
)

__all__ = ["TYPES", "Event", "Reader", "duration_text"]

Object = dict[str, object]
T = TypeVar("T")

TYPES = ("prediction", "label", "reference", "model", "metric", "run", "ingest")
MAX_DEPTH = 64
_INSTANT = "epoch milliseconds or ISO 8601 between the years 1 and 9999"
# Only what matches can be a number beyond a double; all else Python reads faster by itself. Three
# hundred digits on end show as three in every hundredth character.
_EXPONENT, _DIGITS = re.compile(r"[0-9][eE]"), re.compile(r"[0-9]{3}")
_SPECIAL = ("nan", "inf", "-inf")


@dataclass(slots=True)
class Event:
    """What one line says; `votes` of a label, `numbers` and `scalars` of a prediction."""

    type: str
    model_id: str | None = None
    event_id: str | None = None
    event_us: int | None = None
    job_id: str | None = None
    batch_id: str | None = None
    bucket_id: str | None = None
    prediction: tuple[str | None, float | None] = (None, None)
    label: tuple[str | None, float | None] = (None, None)
    score: float | None = None
    voter: str = ""
    votes: list[tuple[str, str, float | None]] = field(default_factory=list)
    scalars: list[tuple[str, str, object]] = field(default_factory=list)


def duration_text(us: int) -> str:
    """Return a duration in its largest whole unit.

    >>> duration_text(3_600_000_000), duration_text(90_000_000)
    ('1h', '90s')
    """
    for unit, size in (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000)):
        if us >= size and us % size == 0:
            return f"{us // size}{unit}"
    return f"{us / 1_000_000:g}s"


class Reader:
    """Reads lines one by one; not to be shared between threads."""

    def __init__(self, *, max_future_us: int | None) -> None:
        self._max_future_us = max_future_us
        self._refused: list[Refused] = []
        self._plain = json.JSONDecoder(object_pairs_hook=_once, parse_constant=self._refuse)
        self._wary = json.JSONDecoder(
            object_pairs_hook=_once,
            parse_constant=self._refuse,
            parse_float=self._double,
            parse_int=self._integer,
        )

    def object_of(self, text: str) -> Object:
        """Return the JSON object in `text`.

        Raises
        ------
        Fault
            If it is none, or breaks a rule on depth, repeated keys, numbers or text.
        """
        self._refused.clear()
        try:
            large = _EXPONENT.search(text) or _DIGITS.search(text[::100])
            value = (self._wary if large else self._plain).decode(text)
        except json.JSONDecodeError as error:
            reason = f"line must be a JSON object, got {error.msg} at character {error.pos + 1}"
            raise Fault(reason, None) from None
        except RecursionError:
            raise _too_deep() from None
        if not isinstance(value, dict):
            reason = f"line must be a JSON object, got {shown(value)}"
            raise Fault(reason, None)
        if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
            raise _too_deep()
        for path, part in _parts(value) if self._refused else ():
            if isinstance(part, Refused):
                fail(path, "a finite number within a double", part)
        if "\\u" in text:
            _check_text(value)
        return value

    def event(self, event: Object, *, received_us: int) -> Event:
        """Return the event that a JSON object describes.

        Raises
        ------
        Fault
            If a field breaks its rule.
        """
        kind = event.get("type")
        kind = "prediction" if kind is None else kind
        if not isinstance(kind, str) or kind not in TYPES:
            fail("type", f"one of {', '.join(TYPES)}", kind)
        future = None if self._max_future_us is None else received_us + self._max_future_us
        if kind in ("prediction", "reference"):
            return self._prediction(event, kind, None if kind == "reference" else future)
        if kind == "label":
            return self._label(event, future)
        if kind == "metric":
            return self._metric(event, received_us, future)
        return self._other(event, kind, future)

    def _instant(self, event: Object, future: int | None) -> int:
        value = event.get("timestamp")
        us = iso_us(value) if isinstance(value, str) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            us = milliseconds_us(value)
        if us is None:
            fail("timestamp", _INSTANT, value)
        if future is not None and us > future:
            ahead = duration_text(self._max_future_us or 0)
            fail("timestamp", f"at most {ahead} ahead of the clock", value)
        return us

    def _prediction(self, event: Object, kind: str, future: int | None) -> Event:
        loose = kind == "reference"
        found = Event(kind, identifier(event.get("model_id"), "model_id"))
        found.event_id = _optional(event, "id", identifier) if loose else None
        if not loose:
            found.event_id = identifier(event.get("id"), "id")
        if not loose or event.get("timestamp") is not None:
            found.event_us = self._instant(event, future)
        found.prediction = _optional(event, "prediction", class_of) or (None, None)
        found.label = _optional(event, "label", class_of) or (None, None)
        found.score = _optional(event, "score", _share)
        for name in CONTAINERS:
            members = _optional(event, name, _members) or {}
            found.scalars.extend((name, key, value) for key, value in members.items())
        found.job_id = _optional(event, "job_id", identifier)
        found.batch_id = _optional(event, "batch_id", identifier)
        found.bucket_id = _optional(event, "bucket_id", identifier)
        for key, value in event.items():
            if key not in KNOWN:
                _check_name(key, key)
                found.scalars.append(("", key, value))
        return found

    def _label(self, event: Object, future: int | None) -> Event:
        found = Event("label", identifier(event.get("model_id"), "model_id"))
        found.event_id = identifier(event.get("id"), "id")
        found.event_us = self._instant(event, future)
        label = event.get("label")
        if label is not None:
            found.votes.append(("", *class_of(label, "label")))
        members = _optional(event, "labels", _members) or {}
        for name, value in members.items():
            found.scalars.append(("labels", name, value))
            if value is not None:
                found.votes.append((name, *class_of(value, f"labels.{name}")))
        if not found.votes:
            fail("label", "given, or a member of `labels`", label)
        found.voter = _optional(event, "by", identifier) or ""
        return found

    def _metric(self, event: Object, received_us: int, future: int | None) -> Event:
        found = Event("metric", _optional(event, "model_id", identifier))
        found.job_id = identifier(event.get("job_id"), "job_id")
        text_of(event.get("name"), "name")
        value = event.get("value")
        if numeric(value) is None and value not in _SPECIAL:
            fail("value", 'a number, "nan", "inf" or "-inf"', value)
        step = event.get("step")
        if step is not None and (type(step) is not int or not 0 <= step < 2**63):
            fail("step", "a whole number from 0", step)
        found.event_us = received_us
        if event.get("timestamp") is not None:
            found.event_us = self._instant(event, future)
        _optional(event, "experiment_id", identifier)
        return found

    def _other(self, event: Object, kind: str, future: int | None) -> Event:
        model = event.get("model_id")
        found = Event(kind, identifier(model, "model_id") if kind == "model" else None)
        if kind != "model":
            found.model_id = _optional(event, "model_id", identifier)
            found.event_id = identifier(event.get("id"), "id")
        if kind == "run":
            text_of(event.get("job_type"), "job_type")
            _optional(event, "version", identifier)
            _optional(event, "error_category", text_of)
        if kind == "ingest":
            identifier(event.get("strike"), "strike")
        text_of(event.get("status"), "status")
        found.event_us = self._instant(event, future)
        found.job_id = _optional(event, "job_id", identifier)
        for name in AMOUNTS.get(kind, ()):
            _optional(event, name, _amount)
        return found

    def _refuse(self, text: str) -> Refused:
        self._refused.append(Refused(text))
        return self._refused[-1]

    def _double(self, text: str) -> float | Refused:
        value = float(text)
        return value if value - value == 0.0 else self._refuse(text)

    def _integer(self, text: str) -> int | Refused:
        if len(text) < 300:
            return int(text)
        # 310 digits are beyond any double; Python refuses to read thousands of them.
        fits = len(text) <= 310 and float(text) - float(text) == 0.0
        return int(text) if fits else self._refuse(text)


def _once(pairs: list[tuple[str, object]]) -> Object:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, value in pairs:
            if key in seen:
                fail(key, "a key given once, got it again", value)
            seen.add(key)
    return members


def _too_deep() -> Fault:
    return Fault(f"line must be nested at most {MAX_DEPTH} deep, got more", None)


def _depth(value: object) -> int:
    level, depth = [value], 0
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [v for p in level for v in (p.values() if isinstance(p, dict) else p)]
    return depth


def _parts(value: object) -> Iterator[tuple[str, object]]:
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        path, part = waiting.pop()
        yield path, part
        if isinstance(part, dict):
            inside = [(f"{path}.{key}" if path else key, inner) for key, inner in part.items()]
            waiting.extend(reversed(inside))
        elif isinstance(part, list):
            waiting.extend((f"{path}[{i}]", part[i]) for i in reversed(range(len(part))))


def _check_text(value: Object) -> None:
    # A lone surrogate ("\ud800") is no character: neither UTF-8 nor the database can hold it.
    for path, part in _parts(value):
        for text in (path, part):
            if isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text):
                fail(path, "Unicode text without lone surrogates", part)


def _optional(event: Object, name: str, read: Callable[[object, str], T]) -> T | None:
    value = event.get(name)
    return None if value is None else read(value, name)


def _check_name(name: str, path: str) -> None:
    if not 0 < len(name) <= MAX_NAME:
        reason = f"property names must have 1 to {MAX_NAME} characters, got {shown(name)}"
        raise Fault(reason, path)


def _members(value: object, path: str) -> Object:
    if not isinstance(value, dict):
        fail(path, "an object of names and values", value)
    for name, member in value.items():
        _check_name(name, f"{path}.{name}")
        if isinstance(member, dict | list):
            fail(f"{path}.{name}", "a number, a string, a boolean or null", member)
    return value


def _share(value: object, path: str) -> float:
    number = numeric(value)
    if number is None or not 0.0 <= number <= 1.0:
        fail(path, "a number from 0 to 1", value)
    return number


def _amount(value: object, path: str) -> float:
    number = numeric(value)
    if number is None or number < 0.0:
        fail(path, "a number from 0", value)
    return number
