"""Matrices and totals of what was decided, from the counts of a tally.

The truth of an event is the label that holds; an event without one counts as agreed with, in this
contract only. So the matrix holds every event with a decision, and the block over labelled events
alone is given beside it. Events without a class as prediction are in neither.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from engine.jobs.blocks import Block, blocks_of
from engine.jobs.job_rules import JobRules, Minutes, declared_labels, minutes_of, time_saved
from engine.jobs.tally import Tally

__all__ = ["Decided", "decided_of"]

_CONSENSUS = ("votes", "administrator")


@dataclass(frozen=True, slots=True)
class Decided:
    """What a tally says.

    Attributes
    ----------
    all, labelled : Block
        Over all events with a decision, and over those with a label that is a class.
    total_events, labelled_events, events_without_decision : int
    events_by_label_source : mapping of str to int
        Of `total_events`; `none` of those without any label.
    minutes_per_event : mapping of str to Minutes
        Of the models that have any.
    """

    all: Block
    labelled: Block
    total_events: int
    labelled_events: int
    events_without_decision: int
    events_by_label_source: Mapping[str, int]
    minutes_per_event: Mapping[str, Minutes]

    @property
    def events_with_consensus(self) -> int:
        """Those whose label came from votes or an administrator."""
        return sum(self.events_by_label_source.get(source, 0) for source in _CONSENSUS)


def decided_of(
    cursor: duckdb.DuckDBPyConnection,
    tally: Tally,
    models: Sequence[str],
    active: str | None,
    rules: JobRules,
) -> Decided:
    """Give matrices and totals of a tally of a job's `models`."""
    everything: Counter[tuple[str, str]] = Counter()
    labelled: Counter[tuple[str, str]] = Counter()
    sources: Counter[str] = Counter()
    agreed: Counter[tuple[str, str]] = Counter()
    confirmed: Counter[tuple[str, str]] = Counter()
    without = 0
    for (model, label, prediction, source), count in tally.cells.items():
        if prediction is None:
            without += count
            continue
        everything[prediction if label is None else label, prediction] += count
        sources[source or "none"] += count
        if label is None or label == prediction:
            agreed[model, prediction] += count
        if label is not None:
            labelled[label, prediction] += count
            if label == prediction:
                confirmed[model, prediction] += count
    there = {cell[0] for cell in tally.cells}
    minutes = minutes_of(cursor, [m for m in models if m in there] if there else models)
    saved = tuple(
        time_saved(minutes, ((m, label, n) for (m, label), n in counts.items()))
        for counts in (agreed, confirmed)
    )
    declared = declared_labels(cursor, models, active)
    blocks = blocks_of(everything, labelled, declared, rules.classes, (saved[0], saved[1]))
    return Decided(
        *blocks,
        everything.total(),
        labelled.total(),
        without,
        dict(sorted(sources.items())),
        minutes,
    )
