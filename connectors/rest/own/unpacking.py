"""Bodies as they were before they were packed, never more than a limit of them.

What is packed may be a thousand times larger unpacked: it is unpacked piece by piece, and given up
where the limit is passed.
"""

import re
import zlib

import zstandard

from connectors.rest.faults import Fault

__all__ = ["ENCODINGS", "unpacked"]

ENCODINGS = ("identity", "gzip", "x-gzip", "zstd")

_GZIP_BITS = 16 + zlib.MAX_WBITS
# What is behind a member is copied: thousands of members must not each copy all that is left.
_GZIP_PIECE = 4 << 10
_PADDING = re.compile(rb"\0*")
# A block of zstandard is 128 KiB at most, and takes 4 bytes at least: so many bytes cannot become
# more than 16 MiB at once.
_ZSTD_PIECE = 512
_ZSTD_WINDOW = 16 << 20


def unpacked(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """Unpack a body.

    Raises
    ------
    Fault
        400: it is broken; 413: it is larger than `bytes_max`; 415: it is packed in another way.
    """
    if encoding == "identity":
        found = body
    elif encoding in {"gzip", "x-gzip"}:
        found = _gunzipped(body, bytes_max)
    elif encoding == "zstd":
        found = _unzstd(body, bytes_max)
    else:
        msg = f"`Content-Encoding` must be one of {', '.join(ENCODINGS)}, got {encoding[:80]!r}"
        raise Fault(415, msg, headers={"Accept-Encoding": ", ".join(ENCODINGS)})
    if len(found) > bytes_max:
        raise _too_large(bytes_max)
    return found


def _gunzipped(body: bytes, bytes_max: int) -> bytes:
    parts, size, at, kind = [], 0, 0, "gzip"
    while at < len(body):  # a file may be several members, one after the other
        member = zlib.decompressobj(_GZIP_BITS)
        while not member.eof:
            piece = member.unconsumed_tail or body[at : at + _GZIP_PIECE]
            if not piece:
                raise _broken(kind)
            at += 0 if member.unconsumed_tail else len(piece)
            try:
                part = member.decompress(piece, bytes_max + 1 - size)
            except zlib.error as error:
                raise _broken(kind) from error
            parts.append(part)
            size += len(part)
            if size > bytes_max:
                raise _too_large(bytes_max)
        behind = _PADDING.match(body, at - len(member.unused_data))
        at = behind.end() if behind else at
    return b"".join(parts)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size, at, kind = 0, 0, "zstd"
    frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    while at < len(body):
        frame = frames.decompressobj()
        while at < len(body) and not frame.eof:
            piece = body[at : at + _ZSTD_PIECE]
            try:
                part = frame.decompress(piece)
            except zstandard.ZstdError as error:
                raise _broken(kind) from error
            at += len(piece)
            parts.append(part)
            size += len(part)
            if size > bytes_max:
                raise _too_large(bytes_max)
        if not frame.eof:
            raise _broken(kind)
        at -= len(frame.unused_data)
    return b"".join(parts)


def _broken(kind: str) -> Fault:
    return Fault(400, f"the body must be whole {kind}, got what cannot be unpacked")


def _too_large(bytes_max: int) -> Fault:
    return Fault(413, f"the body must be at most {bytes_max} bytes when unpacked, got more")
