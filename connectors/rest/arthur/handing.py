"""Items into the stream: what was made of them goes in as lines, and each gets its own answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import time_ns
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request

from connectors.rest.auth import Caller
from connectors.rest.services import Services, services_of
from engine.config import ModelSettings, Settings
from engine.errors import NotFoundError
from engine.inferences.items import Item, Maker
from engine.inferences.stages import stages_of
from engine.query.stored_names import stored_names
from engine.receipts import LISTED_MAX
from engine.strict import Reader

__all__ = ["COUNTS", "Make", "counts_of", "failures_of", "hand_in", "model_to_fill"]

_BYTES = 4 << 20  # of lines that go in at once

COUNTS = {
    "type": "object",
    "required": ["success", "failure", "total"],
    "properties": {
        name: {"type": "integer", "minimum": 0} for name in ("success", "failure", "total")
    },
}
"""Schema of `counts_of`."""

Make = Callable[[Maker], Iterator[Item]]


def model_to_fill(settings: Settings, caller: Caller, model_id: str) -> ModelSettings:
    """Give what is declared of a model; one that nobody knows yet begins with its first event.

    Raises
    ------
    NotFoundError
        The caller may not see it; said as of a model that there is not.
    """
    if not caller.sees_model(model_id):
        msg = f"`model_id` must be the id of a model, got {model_id}"
        raise NotFoundError(msg)
    declared = (model for model in settings.models if model.id == model_id)
    return next(declared, ModelSettings(id=model_id))


async def hand_in(request: Request, caller: Caller, model_id: str, make: Make) -> list[Item]:
    """Make items and hand in their lines, part by part; durable when it returns.

    Parameters
    ----------
    make : callable
        Makes the items; runs in a thread.

    Returns
    -------
    list of Item
        In order, without their lines; what was not taken has a fault.
    """
    services = services_of(request)
    settings = services.gate.configured.settings
    model = model_to_fill(settings, caller, model_id)
    names = await services.read(lambda asking: stored_names(asking.cursor, model))
    reader = Reader(max_future_us=settings.time.max_future_us)
    maker = Maker(stages_of(names), reader, time_ns() // 1000)
    parts = _parts(lambda: make(maker))
    told: list[Item] = []
    while (part := await run_sync(lambda: next(parts, None), limiter=services.limiter)) is not None:
        told += await _posted(services, caller, part)
    return told


def _parts(make: Callable[[], Iterator[Item]]) -> Iterator[list[Item]]:
    """Cut items into parts whose lines go in at once; each receipt then lists all rejects."""
    part: list[Item] = []
    lines = size = 0
    for item in make():
        more = sum(map(len, item.lines))
        if part and (lines + len(item.lines) > LISTED_MAX or size + more > _BYTES):
            yield part
            part, lines, size = [], 0, 0
        part.append(item)
        lines, size = lines + len(item.lines), size + more
    if part:
        yield part


async def _posted(services: Services, caller: Caller, part: list[Item]) -> list[Item]:
    told = [replace(item, lines=()) for item in part]
    places = [place for place, item in enumerate(part) for _ in item.lines]
    if places:
        lines = b"".join(line for item in part for line in item.lines)
        receipt = await services.post(lines, caller.username)
        for line in receipt.rejected:
            place = places[line.line - 1]
            told[place] = replace(told[place], fault=line.reason)
    return told


def counts_of(items: Sequence[Item]) -> dict[str, int]:
    """Count what was taken and what was not."""
    failed = sum(item.fault is not None for item in items)
    return {"success": len(items) - failed, "failure": failed, "total": len(items)}


def failures_of(items: Sequence[Item]) -> list[dict[str, Any]]:
    """List what was not taken, by the place in the file from 1."""
    return [
        {"message": f"row {place}: {item.fault}", "status": 400}
        for place, item in enumerate(items, 1)
        if item.fault is not None
    ]
