"""What DuckDB itself passes over in a write-ahead log: damage that looks like a torn end.

A log ends in the middle of an entry when its owner was killed, and DuckDB then rightly drops that
entry. But it also drops, without a word, everything behind an entry whose stored length was
damaged, and a whole log whose beginning is. Both are told apart here: behind a torn end there is no
commit, behind damage there is. Checksums are left to DuckDB.

The log of DuckDB 2, version 2: a beginning that names the database, then entries of length (8
bytes), checksum (8) and content; a commit ends with an entry that is always the same.

Cost: a fifth of a second for 500,000 entries.
"""

import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Log", "look_at_log"]

_BEGINNING = re.compile(rb"d\0be\0(.)", re.DOTALL)
_VERSION = b"\x02"
_NUMBER = rb"[\x80-\xff]*[\0-\x7f]"
_NAMED = re.compile(rb"d\0be\0\x02f\0\x10(?:%b){16}g\0%b\xff\xff" % (_NUMBER, _NUMBER), re.DOTALL)
_COMMIT = bytes.fromhex("0500000000000000e7fe7d722fed3d5e640064ffff")
_HEAD = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Log:
    """What was found in a log.

    Attributes
    ----------
    fault : str or None
        What is damaged; None: nothing that DuckDB would pass over.
    commits : tuple of int
        Where each commit ends that comes before the damage, in bytes.
    """

    fault: str | None
    commits: tuple[int, ...] = ()


def look_at_log(path: Path) -> Log:
    """Walk through a log; one that is absent, empty or of another version has no fault here."""
    if not path.exists() or not path.stat().st_size:
        return Log(None)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _walked(content)


def _walked(content: mmap.mmap) -> Log:
    known = _BEGINNING.match(content)
    if known is not None and known[1] != _VERSION:
        return Log(None)
    named = _NAMED.match(content)
    if named is None:
        behind = len(content) > 64 or content.find(_COMMIT) >= 0
        return Log("its log does not begin as one" if behind else None)
    at, end, commits = named.end(), len(content), []
    while at + _HEAD.size <= end:
        length, _ = _HEAD.unpack_from(content, at)
        if at + _HEAD.size + length > end:
            break
        if length == 5 and content[at : at + len(_COMMIT)] == _COMMIT:
            commits.append(at + len(_COMMIT))
        at += _HEAD.size + length
    lost = content.find(_COMMIT, at)
    fault = None if lost < 0 else f"its log is damaged at byte {at:,}, with commits behind it"
    return Log(fault, tuple(commits))
