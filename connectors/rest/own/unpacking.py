"""Bodies as they were before they were packed, never more than a limit of them.

What is packed may be a thousand times larger unpacked: it is unpacked piece by piece, and given up
where the limit is passed.
"""

import zlib

import zstandard

from connectors.rest.faults import Fault

__all__ = ["ENCODINGS", "unpacked"]

ENCODINGS = ("identity", "gzip", "x-gzip", "zstd")

_GZIP_BITS = 16 + zlib.MAX_WBITS
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
    parts, size, left, kind = [], 0, body, "gzip"
    while left:  # a file may be several members, one after the other
        member = zlib.decompressobj(_GZIP_BITS)
        try:
            part = member.decompress(left, bytes_max + 1 - size)
        except zlib.error as error:
            raise _broken(kind) from error
        parts.append(part)
        size += len(part)
        if size > bytes_max:
            raise _too_large(bytes_max)
        if not member.eof:
            raise _broken(kind)
        left = member.unused_data.lstrip(b"\0")  # which may be padding
    return b"".join(parts)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size, left, kind = 0, body, "zstd"
    frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    while left:
        frame = frames.decompressobj()
        at = 0
        while at < len(left) and not frame.eof:
            try:
                part = frame.decompress(left[at : at + _ZSTD_PIECE])
            except zstandard.ZstdError as error:
                raise _broken(kind) from error
            at += _ZSTD_PIECE
            parts.append(part)
            size += len(part)
            if size > bytes_max:
                raise _too_large(bytes_max)
        if not frame.eof:
            raise _broken(kind)
        left = frame.unused_data + left[at:]
    return b"".join(parts)


def _broken(kind: str) -> Fault:
    return Fault(400, f"the body must be whole {kind}, got what cannot be unpacked")


def _too_large(bytes_max: int) -> Fault:
    return Fault(413, f"the body must be at most {bytes_max} bytes when unpacked, got more")
