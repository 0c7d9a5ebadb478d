"""The filter of seen ids, next to a Python set of the same keys; time and bytes a key."""

import sys

import numpy as np

from benchmarks.rooms import best_s, say
from engine.seen import Seen

__all__: list[str] = []

_KEYS = 2_000_000
_ASKED = 50_000


def _main() -> None:
    chance = np.random.default_rng(1)
    keys = chance.integers(0, 2**64, _KEYS, np.uint64)
    seen = Seen()
    for number, part in enumerate(np.array_split(keys, 40)):
        seen.add(number // 20, part)
    known = set(keys.tolist())
    asked = chance.integers(0, 2**64, _ASKED, np.uint64)
    listed = asked.tolist()
    ours = best_s(lambda: seen.ask(asked))
    naive = best_s(lambda: [key in known for key in listed])
    say("engine.seen", ours, "a Python set", naive, _ASKED)
    print(f"bytes a key: 6 against {(sys.getsizeof(known) + 32 * _KEYS) / _KEYS:.0f}")


if __name__ == "__main__":
    _main()
