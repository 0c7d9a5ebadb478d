"""What one reader thread does with a block: decode it, and fold it to pane amounts."""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from engine.batch import Batch, Block
from engine.config import Settings
from engine.decode import Decoder
from engine.fold import fold, positives_of
from engine.lists import make_lists

__all__ = ["Reader", "reader_of"]


@dataclass(frozen=True, slots=True)
class Reader:
    """The two halves of reading a block.

    Attributes
    ----------
    decode : callable
        For one thread.
    fold : callable
        Gives a batch with its predictions folded; for any thread, or for none: what was not folded
        beforehand is reduced where it is taken in, with the same result.
    """

    decode: Callable[[Block], Batch]
    fold: Callable[[Batch], Batch]

    def __call__(self, block: Block) -> Batch:
        """Do both."""
        return self.fold(self.decode(block))


def reader_of(settings: Settings, pane_s: int) -> Reader:
    """Make a reader with a DuckDB in memory of its own, for one thread.

    Parameters
    ----------
    settings : Settings
    pane_s : int
        Seconds a stored pane.
    """
    # One thread: sums of floats then depend on the lines alone. DuckDB lets other threads run.
    cursor = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
    make_lists(cursor, settings)
    decoder = Decoder(
        cursor,
        max_future_us=settings.time.max_future_us,
        line_bytes=settings.limits.line_bytes,
        mappings={source.name: dict(source.mapping) for source in settings.sources},
        positive={
            model.id: (model.positive, model.positive_property)
            for model in settings.models
            if model.positive_property is not None
        },
    )
    positives = positives_of(settings.models)
    return Reader(decoder.decode, lambda batch: fold(batch, positives, pane_s))
