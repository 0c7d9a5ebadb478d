"""The routes of posted data: records into the stream of a job, and how far it has come.

`_data` answers once every record is durable, and every bucket that it closes is there. `_flush` has
nothing to wait for then: it tells the end of the last closed bucket. A bucket of a job that watches
what is posted closes when a record comes that is later than its end and the job's `latency`,
whatever time other streams have reached; the bucket of the newest records is open until then, and
records of closed buckets are late. Buckets of jobs of other models close by the watermark. So time
is not to be advanced or skipped by hand; interim results of open buckets are made at every step of
the job's frequency anyway, `calc_interim` or not.
"""

import asyncio
import time
from collections.abc import Sequence

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.rest.auth import Caller, Editor
from connectors.rest.elastic.answers import answer, render
from connectors.rest.elastic.options import flag, options_of, query_of
from connectors.rest.elastic.posted import Upload, records_in, unpacked, upload_of
from connectors.rest.elastic.schemas import described
from connectors.rest.elastic.sight import no_such_job, seen
from connectors.rest.faults import Fault, contract_route
from connectors.rest.services import Services, services_of
from engine.anomaly.queries.job_standing import OPENED, finalized_end_s, state_of
from engine.config import AnomalyJobSettings
from engine.errors import BusyError, ConflictError
from engine.receipts import Receipt

__all__ = ["ROUTER"]

ROUTER = APIRouter(route_class=contract_route(render), tags=["Elasticsearch: jobs"])

_JOB = "/_ml/anomaly_detectors/{job_id}"
_WAIT_S = 30.0
_RETRY_S = 0.2
_COUNTS = {"type": "object", "properties": {"processed_record_count": {"type": "integer"}}}
_FLUSHED = {"type": "object", "properties": {"flushed": {"type": "boolean"}}}
_BY_HAND = ("advance_time", "skip_time", "start", "end")


@ROUTER.post(
    f"{_JOB}/_data",
    **described(
        "elastic_post_data",
        _COUNTS,
        body={"oneOf": [{"type": "array", "items": {"type": "object"}}, {"type": "object"}]},
        body_required=True,
        status=202,
    ),
)
async def post_data(job_id: str, request: Request, caller: Editor) -> Response:
    """Take in records of an open job: NDJSON, an array, or objects one behind the other.

    The counts are those of this call. Late records are those of buckets that were closed already;
    `rejected_record_count` are those that cannot be events, with the reasons in `rejects`.
    """
    told = query_of(request, ("reset_start", "reset_end"))
    if told:
        msg = f"`{min(told)}` is not supported: `bellwether anomaly run` goes over buckets again"
        raise Fault(400, msg)
    services = services_of(request)
    job = _job(services, caller, job_id)
    if job.model is None or job.type is not None:
        msg = f"the job '{job_id}' must watch a model, to have data posted to it"
        raise ConflictError(msg)
    next_start_s = await _check_open(services, job_id)
    body, encoding = await request.body(), request.headers.get("content-encoding", "")
    size, upload = await run_sync(lambda: _upload(job, body, encoding.strip().lower()))
    receipts = await _handed_in(services, upload.pieces, caller.username)
    counts = _counts(upload, receipts, job, next_start_s)
    now_ms = time.time_ns() // 1_000_000
    told_counts = {"job_id": job_id, "input_bytes": size, **counts, "last_data_time": now_ms}
    return answer(request, told_counts, 202)


@ROUTER.post(
    f"{_JOB}/_flush",
    **described(
        "elastic_flush_job",
        _FLUSHED,
        query={"calc_interim": {"type": "boolean"}},
        body={"type": "object", "properties": {"calc_interim": {"type": "boolean"}}},
    ),
)
async def flush_job(job_id: str, request: Request, caller: Editor) -> Response:
    """Tell how far an open job has come: all that was posted is committed already."""
    told = options_of(request, await request.body(), ("calc_interim", *_BY_HAND))
    flag(told, "calc_interim", default=False)
    for name in _BY_HAND:
        if told.get(name) is not None:
            msg = f"`{name}` is not supported: time goes on with the events of all inputs"
            raise Fault(400, msg)
    services = services_of(request)
    _job(services, caller, job_id)
    end_s = await _check_open(services, job_id)
    ended = {} if end_s is None else {"last_finalized_bucket_end": end_s * 1_000}
    return answer(request, {"flushed": True, **ended})


def _job(services: Services, caller: Caller, job_id: str) -> AnomalyJobSettings:
    known = seen(caller, services.gate.configured.settings.anomaly_jobs)
    if job_id not in known:
        raise no_such_job(job_id)
    return known[job_id]


async def _check_open(services: Services, job_id: str) -> int | None:
    """See that a job is open; give the end of its last closed bucket."""
    state, end_s = await services.read(
        lambda asking: (state_of(asking.cursor, job_id), finalized_end_s(asking.cursor, job_id))
    )
    if state != OPENED:
        msg = f"the job '{job_id}' must be open, got a closed one"
        raise ConflictError(msg)
    return end_s


def _upload(job: AnomalyJobSettings, body: bytes, encoding: str) -> tuple[int, Upload]:
    data = unpacked(body, encoding)
    return len(data), upload_of(job, records_in(data))


async def _handed_in(
    services: Services, pieces: Sequence[Sequence[bytes]], username: str
) -> list[Receipt]:
    """Hand in lines, piece by piece.

    Once a piece is in, the others wait for their turn: who is turned away would send all of it
    again, and what is in already would be there twice.
    """
    receipts: list[Receipt] = []
    until_s = time.monotonic() + _WAIT_S
    for piece in pieces:
        while piece:
            try:
                receipts.append(await services.post(b"".join(piece), username))
                break
            except BusyError as error:
                if not receipts:
                    raise
                if time.monotonic() > until_s:
                    taken = sum(each.accepted for each in receipts)
                    msg = f"there is too much to do: the first {taken} records were taken"
                    raise BusyError(msg) from error
                await asyncio.sleep(_RETRY_S)
    return receipts


def _counts(
    upload: Upload, receipts: list[Receipt], job: AnomalyJobSettings, next_start_s: int | None
) -> dict[str, int]:
    """Count what was taken and what was not; times that no event may have are invalid dates."""
    out: set[int] = set()
    before = dates = others = 0
    for receipt in receipts:
        out |= {before + each.line - 1 for each in receipt.rejected}
        found = sum(each.field == "timestamp" for each in receipt.rejected)
        dates += found
        others += receipt.rejected_count - found
        before += receipt.lines
    taken = [place for place in range(before) if place not in out]
    counts = upload.counts(taken, job, next_start_s)
    counts["invalid_date_count"] += dates
    counts["rejected_record_count"] = others
    return counts
