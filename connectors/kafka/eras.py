"""Which topic a position belongs to, over topics that are deleted and created anew.

A position is an offset as long as the topic is the same. A topic that was created anew begins at
offset 0 again: its offsets are counted on from the last position of the former one, so positions
only grow. The eras are the state that a restart needs beside the position; they are good for every
position since the start of the run, as each begins where the one before ended.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Era", "era_at", "eras_of", "state_of"]

_KEPT = 8


@dataclass(frozen=True, slots=True)
class Era:
    """The time of one topic under a name.

    Attributes
    ----------
    topic_id : str or None
        What the brokers call it; None where they do not tell.
    base : int
        Position of its offset 0.
    """

    topic_id: str | None
    base: int = 0


def eras_of(state: str | None) -> list[Era]:
    """Read the eras of a state; none where nothing was ever read.

    >>> eras_of(state_of([Era("x"), Era("y", 500)]))
    [Era(topic_id='x', base=0), Era(topic_id='y', base=500)]
    """
    return [] if state is None else [Era(*era) for era in json.loads(state)["eras"]]


def state_of(eras: Sequence[Era]) -> str:
    """Write eras, the last ones of very many."""
    return json.dumps({"eras": [[era.topic_id, era.base] for era in eras[-_KEPT:]]})


def era_at(eras: Sequence[Era], position: int) -> Era:
    """Give the last era that had begun at a position.

    >>> era_at([Era("x"), Era("y", 500)], 499), era_at([Era("x"), Era("y", 500)], 500)
    (Era(topic_id='x', base=0), Era(topic_id='y', base=500))
    """
    return next((era for era in reversed(eras) if era.base <= position), eras[0])
