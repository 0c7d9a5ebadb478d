"""The corpus of hostile lines in `tests/hostile/corpus`: what each is, and what must become of it.

A line is given as `line`, as `hex`, or as `parts` (`hexparts`): texts, and how often each is
repeated. It is `taken`, or refused for a stated reason. The file `framing.json` comes first: its
first line begins with a byte order mark, which only the begin of a stream may have.
"""

import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CORPUS", "KINDS", "RECEIVED_US", "Hostile", "stream"]

_FOLDER = Path(__file__).parent / "hostile" / "corpus"
RECEIVED_US = 1_767_225_600_000_000
"""The first of January 2026: no line of the corpus says a time between this and the year 2255."""


@dataclass(frozen=True)
class Hostile:
    """One line; `field` and `reason` are those of its reject, None where it is taken."""

    kind: str
    name: str
    data: bytes
    taken: bool
    field: str | None
    reason: str | None


def _data(entry: dict) -> bytes:
    if "line" in entry:
        return entry["line"].encode()
    if "hex" in entry:
        return bytes.fromhex(entry["hex"])
    if "hexparts" in entry:
        return b"".join(bytes.fromhex(text) * count for text, count in entry["hexparts"])
    return b"".join(text.encode() * count for text, count in entry["parts"])


def _read(path: Path) -> list[Hostile]:
    return [
        Hostile(
            path.stem,
            entry["name"],
            _data(entry),
            entry.get("taken", False),
            entry.get("field"),
            entry.get("reason"),
        )
        for entry in json.loads(path.read_text())
    ]


KINDS = ["framing", *sorted({path.stem for path in _FOLDER.glob("*.json")} - {"framing"})]
CORPUS = [each for kind in KINDS for each in _read(_FOLDER / f"{kind}.json")]


def stream(lines: list[Hostile]) -> bytes:
    """Give the lines as they come over the wire."""
    return b"".join(each.data + b"\n" for each in lines)
