"""Reads the reference files of the models, before any other input."""

from collections.abc import Callable

from connectors.files import open_files
from engine.batch import Batch, Block
from engine.config import Settings
from engine.monitor import Monitor
from engine.reference_rows import as_references
from flows.inputs import Resume

__all__ = ["read_references"]


def read_references(
    settings: Settings,
    monitor: Monitor,
    resume: Resume,
    decode: Callable[[Block], Batch],
    now_us: int,
) -> bool:
    """Take in what is new in the reference files, in the open transaction.

    A file is read once: it goes on where the store says, so that one that grows adds to the set.

    Returns
    -------
    bool
        Whether there was anything.

    Raises
    ------
    SourceError
        A file is missing, or a pattern matches nothing.
    """

    def known(source: str, name: str) -> tuple[int, str | None]:
        return resume.get((source, name), (0, None, None))[:2]

    found = False
    for model in settings.models:
        if not model.reference:
            continue
        for partition in open_files(f"reference of {model.id}", model.reference, known):
            try:
                while not partition.finished:
                    block = partition.poll(now_us)
                    if block is not None:
                        found = True
                        batch = as_references(decode(block), model.id)
                        monitor.take(batch, partition.state)
                monitor.close_partition(partition.source, partition.name, partition.state)
            finally:
                partition.close()
    return found
