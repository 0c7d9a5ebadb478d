"""The demonstration: a real data set, a model that learns as it goes, labels that come late.

::

    river's ImageSegments ─ model predicts ─ events file ─ run ─ report
                               └── learns when the label comes

2,310 image segments of seven classes, one every twenty seconds from 2026-01-05 06:00 UTC on: the
data are real, the times are made up. Every label is given 5 to 30 minutes after its prediction,
and only then does the model learn from it. One label in thirty is wrong at first and corrected
about an hour later, one in ten reaches us some minutes after it was given: late and out of order.
The stream is a function of the seed.
"""

import heapq
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from river import datasets, linear_model, preprocessing

from connectors.store import FILE_NAME
from engine.config import ModelSettings, Settings, SourceSettings
from engine.errors import ConfigurationError, StoreError
from flows.report import show
from flows.run import run

__all__ = ["MODEL_ID", "ROWS", "demo", "events"]

MODEL_ID = "image-segments"
JOB_ID = "demo"
ROWS = 2_310
_CLASSES = ("brickface", "cement", "foliage", "grass", "path", "sky", "window")
_START_MS = int(datetime(2026, 1, 5, 6, tzinfo=UTC).timestamp()) * 1_000
_STEP_MS = 20_000
_LABEL_DELAY_MS = (5 * 60_000, 30 * 60_000)
_CORRECTION_DELAY_MS = (40 * 60_000, 80 * 60_000)
_DELIVERY_DELAY_MS = (60_000, 6 * 60_000)
_LOOKBACK_S = 3_600  # three events a minute: shorter windows would show noise


@dataclass(frozen=True, slots=True, order=True)
class _Vote:
    """A label on its way: when it arrives (for the order of lines), and when it was given."""

    arrives_ms: int
    number: int
    given_ms: int
    label: str


def demo(data: str | None, seed: int, rows: int | None, stop: threading.Event | None = None) -> int:
    """Stream the data set into the data folder and print a report; return the exit code.

    Parameters
    ----------
    data : str or None
        The data folder; None makes a fresh temporary one. A second run on the same folder finds
        its events there already, and changes nothing.
    seed : int
        Decides when labels come and which are wrong at first.
    rows : int or None
        How many segments of the data set, from its start; None takes all 2,310.
    stop : threading.Event, optional
        Ends the stream; the report is of what came until then.

    Raises
    ------
    ConfigurationError
        `seed` is negative, or `rows` is not between 1 and 2,310.
    StoreError
        The data folder cannot be written to, or is in use.
    """
    count = _checked(seed, ROWS if rows is None else rows)
    console = Console(highlight=False)
    folder = Path(data) if data is not None else Path(tempfile.mkdtemp(prefix="bellwether-demo-"))
    source = folder / f"demo-events-{count}-{seed}.ndjson"
    console.print(
        f"A softmax regression learns to tell {count:,} image segments apart, and Bellwether\n"
        "watches. Its decisions, and the labels that come late, are in"
    )
    console.print(f"  {source}", soft_wrap=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(source, seed, count)
    except OSError as fault:
        msg = f"data folder {folder} cannot be used: {fault.strerror}"
        raise StoreError(msg) from fault
    code = run(_settings(folder, source), stop=stop)
    if code == 0:
        show(console, folder / FILE_NAME, MODEL_ID)
    return code


def events(seed: int, rows: int) -> Iterator[dict[str, Any]]:
    """Yield the stream of the first `rows` segments as events, in the order in which they arrive.

    The model is asked before it learns, and learns from a label when that arrives. Until the first
    one it knows nothing, and says the first class with the probability of a guess.
    """
    random = np.random.default_rng(seed)
    model = preprocessing.StandardScaler() | linear_model.SoftmaxRegression()
    segments: list[dict[str, float]] = []
    waiting: list[_Vote] = []
    segments_read = datasets.ImageSegments()  # type: ignore[no-untyped-call]
    for number, (features, truth) in enumerate(segments_read.take(rows)):
        now_ms = _START_MS + number * _STEP_MS
        while waiting and waiting[0].arrives_ms <= now_ms:
            yield _learn(model, segments, heapq.heappop(waiting))
        yield _decide(model, number, features, now_ms)
        segments.append(features)
        for vote in _votes(random, number, truth, now_ms):
            heapq.heappush(waiting, vote)
    while waiting:
        yield _learn(model, segments, heapq.heappop(waiting))


def _decide(model: Any, number: int, features: dict[str, float], now_ms: int) -> dict[str, Any]:
    """Ask the model about one segment."""
    shares = model.predict_proba_one(features) or dict.fromkeys(_CLASSES, 1 / len(_CLASSES))
    chosen = max(sorted(shares), key=lambda name: shares[name])
    return {
        "type": "prediction",
        "model_id": MODEL_ID,
        "job_id": JOB_ID,
        "id": _id(number),
        "timestamp": now_ms,
        "prediction": chosen,
        "score": round(float(shares[chosen]), 6),
        "features": features,
        "predictions": {f"p_{name}": round(float(shares.get(name, 0)), 6) for name in _CLASSES},
    }


def _learn(model: Any, segments: list[dict[str, float]], vote: _Vote) -> dict[str, Any]:
    """Let the model learn from a label that has come, and return its event."""
    model.learn_one(segments[vote.number], vote.label)
    return {
        "type": "label",
        "model_id": MODEL_ID,
        "id": _id(vote.number),
        "timestamp": vote.given_ms,
        "label": vote.label,
        "by": "annotator",
    }


def _votes(random: np.random.Generator, number: int, truth: str, now_ms: int) -> list[_Vote]:
    """Draw the label of one segment: when it comes, whether it is wrong at first."""
    given = now_ms + int(random.integers(*_LABEL_DELAY_MS))
    delivery = int(random.integers(*_DELIVERY_DELAY_MS)) if random.random() < 0.1 else 0
    if random.random() >= 1 / 30:
        return [_Vote(given + delivery, number, given, truth)]
    wrong = str(random.choice([name for name in _CLASSES if name != truth]))
    again = given + int(random.integers(*_CORRECTION_DELAY_MS))
    return [_Vote(given + delivery, number, given, wrong), _Vote(again, number, again, truth)]


def _id(number: int) -> str:
    return f"segment-{number:04d}"


def _checked(seed: int, rows: int) -> int:
    if seed < 0:
        msg = f"`seed` must be 0 or more, got {seed}"
        raise ConfigurationError(msg)
    if not 1 <= rows <= ROWS:
        msg = f"`rows` must be between 1 and {ROWS:,}, got {rows}"
        raise ConfigurationError(msg)
    return rows


def _write(path: Path, seed: int, rows: int) -> None:
    """Write the stream to `path`, whole or not at all; one that is there already stays."""
    if path.exists():
        return
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        for event in events(seed, rows):
            file.write(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _settings(folder: Path, source: Path) -> Settings:
    # The name is all that a file is known by: other rows or another seed are another file.
    return Settings(
        data=str(folder),
        sources=(SourceSettings(name="demo", files=(str(source),)),),
        models=(ModelSettings(id=MODEL_ID, job=JOB_ID, lookback_s=_LOOKBACK_S),),
    )
