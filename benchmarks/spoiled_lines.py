"""Spoils a share of the lines of a file in the ways that real streams are spoilt, seeded.

Of the spoilt lines one in four is cut off, as by a full disk or a lost connection; others have a
value of the wrong type, no id, a timestamp that is none, a byte of another encoding, or are no
events at all (a log line, a page of HTML, bytes). A few are longer than any line may be. Where the
line ended in a newline it still does, so that both files have the same number of lines.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

__all__ = ["SPOILERS", "spoil", "spoiled"]

Spoiler = Callable[[bytes, Random], bytes]

_ID = re.compile(rb'"id":"[^"]*"')
_TIME = re.compile(rb'"timestamp":\d+')
_SCORE = re.compile(rb'"score":[\d.]+')
_MODEL = re.compile(rb'"model_id":"[^"]*"')
_FEATURE = re.compile(rb'"feature_4":[\d.]+')
_LONG_BYTES = 1_100_000
_TYPES = (
    (_SCORE, (b'"score":"high"', b'"score":1.7', b'"score":[0.5]')),
    (_FEATURE, (b'"feature_4":[1,2]', b'"feature_4":{"mean":1}', b'"feature_4":NaN')),
    (_MODEL, (b'"model_id":1.5', b'"model_id":{}')),
)
_IDS = (b'"ident":"e1"', b'"id":null', b'"id":""', b'"id":true')
_TIMES = (
    *(b'"timestamp":"yesterday"', b'"timestamp":null', b'"timestamp":"2023-02-29T00:00:00Z"'),
    *(b'"timestamp":1700000000000000000', b'"timestamp":"17/11/2023 10:00:00"'),
)
_ENCODED = (b"\xe9", b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\x80")
_GARBAGE = (
    b"2023-11-14 22:13:20,123 ERROR [worker-3] connection reset by peer: retrying in 5 s",
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>",
    b"Traceback (most recent call last):",
    b"null",
    b"[]",
    b"model-01;e1;1700000000000;A;0.93",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
    b'"',
)


def _cut(line: bytes, random: Random) -> bytes:
    return line[: random.randrange(1, len(line) - 1)]


def _one_of(pattern: re.Pattern[bytes], values: tuple[bytes, ...]) -> Spoiler:
    return lambda line, random: pattern.sub(random.choice(values), line, count=1)


def _mistyped(line: bytes, random: Random) -> bytes:
    pattern, values = random.choice([each for each in _TYPES if each[0].search(line)])
    return pattern.sub(random.choice(values), line, count=1)


def _miscoded(line: bytes, random: Random) -> bytes:
    place = line.index(b'"id":"') + 6 + random.randrange(3)
    return line[:place] + random.choice(_ENCODED) + line[place:]


def _doubled(line: bytes, _: Random) -> bytes:
    return line[:-1] + b',"timestamp":1}'


def _garbage(_: bytes, random: Random) -> bytes:
    return random.choice(_GARBAGE)


def _long(line: bytes, _: Random) -> bytes:
    return line[:-1] + b',"note":"' + b"x" * _LONG_BYTES + b'"}'


SPOILERS: tuple[tuple[str, Spoiler, float], ...] = (
    ("cut off", _cut, 25),
    ("wrong type", _mistyped, 20),
    ("no id", _one_of(_ID, _IDS), 15),
    ("bad timestamp", _one_of(_TIME, _TIMES), 14.96),
    ("not UTF-8", _miscoded, 8),
    ("repeated key", _doubled, 2),
    ("garbage", _garbage, 15),
    ("too long", _long, 0.04),
)
"""Name, how, and how many of a hundred spoilt lines."""


def spoiled(lines: Iterator[bytes], share: float, seed: int) -> Iterator[bytes]:
    """Give the lines, each of them spoilt with a chance of `share`."""
    random = Random(seed)
    ways, weights = [how for _, how, _ in SPOILERS], [weight for *_, weight in SPOILERS]
    for line in lines:
        if random.random() >= share:
            yield line
        else:
            how = random.choices(ways, weights)[0]
            yield how(line.rstrip(b"\n"), random) + b"\n"


def spoil(source: Path, output: Path, share: float, seed: int = 7) -> int:
    """Write a spoilt copy of `source` and return its size in bytes."""
    with source.open("rb") as lines, output.open("wb") as file:
        return sum(file.write(line) for line in spoiled(iter(lines), share, seed))


def _main() -> None:
    parser = argparse.ArgumentParser(description="Write a copy of a file with spoilt lines.")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=7)
    spoil(**vars(parser.parse_args()))


if __name__ == "__main__":
    _main()
