"""Posted records: from the bytes of a body to objects, and to lines of events.

A body is NDJSON, a JSON array of objects, or objects one behind the other with or without blanks
between, gzip-packed or not. Each record becomes one prediction of the job's model, with an id of
its own; what is scalar in it are features, those of nested objects by dotted names, lists and nulls
are left out. A record whose time cannot be read is counted, not taken.
"""

import json
import uuid
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.rest.elastic.answers import unparsed
from connectors.rest.elastic.own_names import given_name
from connectors.rest.faults import Fault
from engine.anomaly.time_formats import time_reader
from engine.config import AnomalyJobSettings

__all__ = ["BYTES_MAX", "Upload", "records_in", "unpacked", "upload_of"]

BYTES_MAX = 100 << 20
"""Of a body once it is unpacked."""

_LINES_BYTES = 8 << 20  # of one piece that is handed in
_SPARSE = 0.25  # of the usual number of records of a bucket
_SECOND_US = 1_000_000
_GZIP = 31  # of zlib: a gzip header
_BLANKS = " \t\r\n"


@dataclass(slots=True)
class Upload:
    """What a body has, ready to be handed in.

    Attributes
    ----------
    times_us, missing, present : list of int
        By record that has a time: its time, and how many of the fields that the job looks at it
        lacks and has.
    pieces : list of list of bytes
        Its lines, in pieces that are not too large.
    input_fields, invalid_dates, input_records : int
    """

    times_us: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    present: list[int] = field(default_factory=list)
    pieces: list[list[bytes]] = field(default_factory=lambda: [[]])
    input_fields: int = 0
    invalid_dates: int = 0
    input_records: int = 0

    def counts(
        self, taken: Sequence[int], job: AnomalyJobSettings, next_start_s: int | None
    ) -> dict[str, int]:
        """Count what was taken.

        Parameters
        ----------
        taken : sequence of int
            Places of the records that became events.
        job : AnomalyJobSettings
        next_start_s : int or None
            The end of the last bucket that was closed before.
        """
        times_us = [self.times_us[place] for place in taken]
        buckets = Counter(time_us // (job.bucket_span_s * _SECOND_US) for time_us in times_us)
        between = max(buckets) - min(buckets) + 1 if buckets else 0
        usual = len(taken) / len(buckets) if buckets else 0.0
        counts = {
            "processed_record_count": len(taken),
            "processed_field_count": sum(self.present[place] for place in taken),
            "input_field_count": self.input_fields,
            "input_record_count": self.input_records,
            "invalid_date_count": self.invalid_dates,
            "missing_field_count": sum(self.missing[place] for place in taken),
            "out_of_order_timestamp_count": _late(times_us, job, next_start_s),
            "bucket_count": between,
            "empty_bucket_count": between - len(buckets),
            "sparse_bucket_count": sum(each < _SPARSE * usual for each in buckets.values()),
        }
        if taken:
            counts["earliest_record_timestamp"] = min(times_us) // 1_000
            counts["latest_record_timestamp"] = max(times_us) // 1_000
        return counts


def _late(times_us: Sequence[int], job: AnomalyJobSettings, next_start_s: int | None) -> int:
    """Count the records whose bucket was closed when they came."""
    late, span_us = 0, job.bucket_span_s * _SECOND_US
    open_us = None if next_start_s is None else next_start_s * _SECOND_US
    for time_us in times_us:
        late += open_us is not None and time_us < open_us
        if job.clock == "records":
            passed_us = (time_us - job.latency_us) // span_us * span_us
            open_us = passed_us if open_us is None else max(open_us, passed_us)
    return late


def unpacked(body: bytes, encoding: str) -> bytes:
    """Give a body without its packing.

    Raises
    ------
    Fault
        400: it is packed otherwise, or broken; 413: it is too large.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        msg = f"`Content-Encoding` must be gzip or identity, got {encoding[:80]}"
        raise Fault(400, msg)
    found, left = b"", body
    try:
        while left:  # one packing may follow another
            reader = zlib.decompressobj(_GZIP)
            found += reader.decompress(left, BYTES_MAX + 1 - len(found))
            if len(found) > BYTES_MAX:
                msg = f"the body must be at most {BYTES_MAX} bytes once it is unpacked, got more"
                raise Fault(413, msg)
            if not reader.eof:
                raise Fault(400, "the body must be whole gzip data, got a part")
            left = reader.unused_data
    except zlib.error as error:
        msg = f"the body must be gzip data, got {error}"
        raise Fault(400, msg) from error
    return found


# ---- records ---------------------------------------------------------------------------------


def records_in(data: bytes) -> list[dict[str, Any]]:
    r"""Give the records of a body.

    Raises
    ------
    Fault
        400: it is no JSON, or has something else than objects in it.

    Examples
    --------
    >>> records_in(b'{"a":1}{"a":2}') == records_in(b'[{"a":1},{"a":2}]')
    True
    >>> records_in(b'{"a":\n1}\n\n{"a":2}\n')
    [{'a': 1}, {'a': 2}]
    """
    found = _of_lines(data)
    if found is None:
        found = list(_one_by_one(data))
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    for record in found:
        if not isinstance(record, dict):
            msg = "the body must have JSON objects, got something else"
            raise unparsed(msg)
    return found


def _of_lines(data: bytes) -> list[Any] | None:
    """Give what stands in the lines, if each of them is whole."""
    try:
        return [orjson.loads(line) for line in data.splitlines() if line.strip()]
    except orjson.JSONDecodeError:
        return None


def _one_by_one(data: bytes) -> Iterator[Any]:
    """Give values that stand one behind the other."""
    try:
        text, decoder, at = data.decode(), json.JSONDecoder(), 0
        while True:
            while at < len(text) and text[at] in _BLANKS:
                at += 1
            if at == len(text):
                return
            end = decoder.raw_decode(text, at)[1]
            yield orjson.loads(text[at:end])  # which is strict where the other is not
            at = end
    except (ValueError, RecursionError) as error:
        msg = f"the body must be JSON objects, got {error}"
        raise unparsed(msg) from error


# ---- events ----------------------------------------------------------------------------------


def upload_of(job: AnomalyJobSettings, records: list[dict[str, Any]]) -> Upload:
    """Make events of records, in their order.

    Parameters
    ----------
    job : AnomalyJobSettings
        One of a model.
    records : list of dict
    """
    read, looked_at = time_reader(job.time_format), _looked_at(job)
    prefix, size, upload = uuid.uuid4().hex, 0, Upload(input_records=len(records))
    for number, record in enumerate(records):
        features = dict(_scalars(record))
        time_us = read(features.pop(job.time_field, None))
        upload.input_fields += len(features) + (time_us is not None)
        if time_us is None:
            upload.invalid_dates += 1
            continue
        present = sum(name in features for name in looked_at)
        upload.times_us.append(time_us)
        upload.present.append(present)
        upload.missing.append(len(looked_at) - present)
        line = orjson.dumps(
            {
                "model_id": job.model,
                "id": f"{prefix}-{number}",
                "timestamp": time_us / 1_000 if time_us % 1_000 else time_us // 1_000,
                "features": features,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        if size + len(line) > _LINES_BYTES and upload.pieces[-1]:
            upload.pieces.append([])
            size = 0
        upload.pieces[-1].append(line)
        size += len(line)
    return upload


def _looked_at(job: AnomalyJobSettings) -> frozenset[str]:
    """Give the fields that a job looks at, as they are posted."""
    names = {*job.influencers}
    for each in job.detectors:
        names |= {each.by_field_name or "", each.over_field_name or ""}
        names |= {each.partition_field_name or "", each.field_name or ""}
    return frozenset(given_name(name) for name in names - {""})


def _scalars(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give the scalars of an object by their dotted names."""
    waiting = [("", record)]
    while waiting:
        prefix, value = waiting.pop()
        for name, part in value.items():
            if isinstance(part, dict):
                waiting.append((f"{prefix}{name}.", part))
            elif isinstance(part, str | int | float | bool):
                yield prefix + name, part
